// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/durable"
	"github.com/mallee-io/mallee/internal/lio"
)

// version is the schema that this program writes. A file of a later one is
// refused: to guess would give initiators other LUNs than they had. Version 1, which
// had no secrets, and version 2, which had no retired LUNs, are read.
const version = 3

// File is where a ledger is kept.
type File interface {
	// Read returns what Write was given last, and fs.ErrNotExist if nothing was.
	Read() ([]byte, error)
	// Write replaces the whole. When it returns nil the new content outlives a
	// power failure; after an error there is the old one or the new one.
	Write([]byte) error
}

// Disk returns the file at a path, whose directory exists.
func Disk(path string) File { return disk{path, durable.SyncDir} }

type disk struct {
	path string
	// syncDir puts on disk what was renamed in a directory.
	syncDir func(dir string) error
}

func (d disk) Read() ([]byte, error) { return os.ReadFile(d.path) }

func (d disk) Write(b []byte) error {
	// Not the umask but we decide who may read it: it holds the initiators' secrets.
	if err := renameio.WriteFile(d.path, b, 0o600, renameio.IgnoreUmask()); err != nil {
		return err
	}
	// Without it a power cut may bring the file back as it was before, and with it
	// LUNs that other volumes have had since.
	return d.syncDir(filepath.Dir(d.path))
}

// content is what stands in the file.
type content struct {
	Version int     `json:"version"`
	Exports []entry `json:"exports"`
	Retired []entry `json:"retired"`
	// LastLUNs are the LUNs given last, so that a reboot does not give them anew.
	LastLUNs map[mallee.IQN]uint16 `json:"last_luns"`
	// Secrets are what the initiators of Exports prove themselves with. They stand
	// apart from the exports, of which errors and logs may tell.
	Secrets map[mallee.IQN]secret `json:"secrets"`
}

type entry struct {
	VolumeID  mallee.VolumeID `json:"volume_id"`
	Initiator mallee.IQN      `json:"initiator"`
	LUN       uint16          `json:"lun"`
}

type secret struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Open reads a ledger; no file is an empty one.
func Open(f File) (*Ledger, error) {
	l := &Ledger{file: f, book: newBook()}
	b, err := f.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		l.book, err = parse(b)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what was exported: %w", err)
	}
	return l, nil
}

func newBook() book {
	return book{map[Key]uint16{}, map[seat]mallee.VolumeID{}, map[mallee.IQN]uint16{}, map[mallee.IQN]mallee.CHAP{}}
}

// keep makes next what the ledger holds, once it is in the file. l.mu is held.
func (l *Ledger) keep(next book) error {
	if l.equal(next) {
		return nil
	}
	b, err := next.encode()
	if err == nil {
		err = l.file.Write(b)
	}
	if err != nil {
		return fmt.Errorf("cannot remember what is exported: %w", err)
	}
	l.book = next
	return nil
}

func parse(text []byte) (book, error) {
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return book{}, err
	}
	if c.Version < 1 || c.Version > version {
		return book{}, fmt.Errorf("schema version %d is none that this program knows, 1 to %d", c.Version, version)
	}
	b := newBook()
	taken := map[seat]mallee.VolumeID{}
	for i, x := range slices.Concat(c.Exports, c.Retired) {
		e, at := Export{Key{x.VolumeID, x.Initiator}, x.LUN}, seat{x.Initiator, x.LUN}
		if err := e.valid(); err != nil {
			return book{}, err
		}
		if other, twice := taken[at]; twice {
			return book{}, fmt.Errorf("%s and %s are both LUN %d of %s", other, x.VolumeID, x.LUN, x.Initiator)
		}
		taken[at] = x.VolumeID
		if i >= len(c.Exports) {
			b.retired[at] = x.VolumeID
			continue
		}
		if have, twice := b.exported[e.Key]; twice {
			return book{}, fmt.Errorf("%s is both LUN %d and LUN %d of %s", x.VolumeID, have, x.LUN, x.Initiator)
		}
		b.exported[e.Key] = x.LUN
	}
	for initiator, lun := range c.LastLUNs {
		if !initiator.Valid() || lun > MaxLUN {
			return book{}, fmt.Errorf("LUN %d of %q is not valid", lun, initiator)
		}
		b.last[initiator] = lun
	}
	for initiator, s := range c.Secrets {
		chap := mallee.CHAP{Username: s.Username, Password: s.Password}
		if err := lio.CheckCHAP(chap); !initiator.Valid() || err != nil {
			return book{}, fmt.Errorf("the secret of %q is not valid: %w", initiator, err)
		}
		b.chap[initiator] = chap
	}
	return b, nil
}

// valid returns nil if e can be an export.
func (e Export) valid() error {
	if !e.Volume.Valid() || !e.Initiator.Valid() || e.LUN < 1 || e.LUN > MaxLUN {
		return fmt.Errorf("export %+v is not valid", e)
	}
	return nil
}

// encode returns what parse takes.
func (b book) encode() ([]byte, error) {
	c := content{Version: version, Exports: entries(b.exports()), Retired: entries(b.retirees()), LastLUNs: b.last, Secrets: map[mallee.IQN]secret{}}
	for key := range b.exported {
		if chap := b.chap[key.Initiator]; chap != (mallee.CHAP{}) {
			c.Secrets[key.Initiator] = secret{chap.Username, chap.Password}
		}
	}
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

func entries(list []Export) []entry {
	all := make([]entry, 0, len(list))
	for _, e := range list {
		all = append(all, entry{e.Volume, e.Initiator, e.LUN})
	}
	return all
}

// exports returns what is exported, sorted by volume and initiator.
func (b book) exports() []Export {
	all := make([]Export, 0, len(b.exported))
	for key, lun := range b.exported {
		all = append(all, Export{key, lun})
	}
	return sorted(all)
}

// retirees returns what is retired, sorted by volume, initiator and LUN.
func (b book) retirees() []Export {
	all := make([]Export, 0, len(b.retired))
	for s, volume := range b.retired {
		all = append(all, Export{Key{volume, s.initiator}, s.lun})
	}
	return sorted(all)
}

func sorted(all []Export) []Export {
	slices.SortFunc(all, func(a, b Export) int {
		return cmp.Or(cmp.Compare(a.Volume, b.Volume), cmp.Compare(a.Initiator, b.Initiator), cmp.Compare(a.LUN, b.LUN))
	})
	return all
}
