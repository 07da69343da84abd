// SPDX-License-Identifier: Apache-2.0

package sp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/lio"
)

// cacheVersion is the schema that this program writes. A file of a later one is
// refused: to guess would give initiators other LUNs than they had. Version 1, which
// had no secrets, is read.
const cacheVersion = 2

// cache is the file in which exports outlive a reboot.
type cache struct {
	Version int           `json:"version"`
	Exports []cacheExport `json:"exports"`
	// LastLUNs are the LUNs given last, so that a reboot does not give them anew.
	LastLUNs map[mallee.IQN]uint16 `json:"last_luns"`
	// Secrets are what the initiators of Exports prove themselves with. They stand
	// apart from the exports, of which errors and logs may tell.
	Secrets map[mallee.IQN]cacheSecret `json:"secrets"`
}

type cacheSecret struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type cacheExport struct {
	VolumeID  mallee.VolumeID `json:"volume_id"`
	Initiator mallee.IQN      `json:"initiator"`
	LUN       uint16          `json:"lun"`
}

// loadExports reads the cache; no file is no exports.
func loadExports(file string) (*exports, error) {
	e := newExports(file)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what was exported: %w", err)
	}
	if err := e.parse(b); err != nil {
		return nil, fmt.Errorf("cannot read what was exported from %s: %w", file, err)
	}
	return e, nil
}

func (e *exports) parse(b []byte) error {
	var c cache
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	if c.Version < 1 || c.Version > cacheVersion {
		return fmt.Errorf("schema version %d is none that this program knows, 1 to %d", c.Version, cacheVersion)
	}
	type seat struct {
		initiator mallee.IQN
		lun       uint16
	}
	taken := map[seat]mallee.VolumeID{}
	for _, x := range c.Exports {
		if !x.VolumeID.Valid() || !x.Initiator.Valid() || x.LUN < 1 || x.LUN > maxLUN {
			return fmt.Errorf("export %+v is not valid", x)
		}
		if other, twice := taken[seat{x.Initiator, x.LUN}]; twice {
			return fmt.Errorf("%s and %s are both LUN %d of %s", other, x.VolumeID, x.LUN, x.Initiator)
		}
		taken[seat{x.Initiator, x.LUN}] = x.VolumeID
		e.luns[exportKey{x.VolumeID, x.Initiator}] = x.LUN
	}
	for initiator, lun := range c.LastLUNs {
		if !initiator.Valid() || lun > maxLUN {
			return fmt.Errorf("LUN %d of %q is not valid", lun, initiator)
		}
		e.last[initiator] = lun
	}
	for initiator, secret := range c.Secrets {
		chap := mallee.CHAP{Username: secret.Username, Password: secret.Password}
		if err := lio.CheckCHAP(chap); !initiator.Valid() || err != nil {
			return fmt.Errorf("the secret of %q is not valid: %w", initiator, err)
		}
		e.chap[initiator] = chap
	}
	return nil
}

// encode returns what parse takes; e.mu is held.
func (e *exports) encode() ([]byte, error) {
	c := cache{Version: cacheVersion, Exports: []cacheExport{}, LastLUNs: e.last, Secrets: map[mallee.IQN]cacheSecret{}}
	for _, m := range e.sorted() {
		c.Exports = append(c.Exports, cacheExport{VolumeID: mallee.VolumeID(m.Backstore), Initiator: m.Initiator, LUN: m.LUN})
		if chap := e.chap[m.Initiator]; chap != (mallee.CHAP{}) {
			c.Secrets[m.Initiator] = cacheSecret{chap.Username, chap.Password}
		}
	}
	return json.MarshalIndent(c, "", "  ")
}

// save writes the cache; e.mu is held. The file is replaced as a whole, and is on
// disk when save returns.
func (e *exports) save() error {
	b, err := e.encode()
	if err != nil {
		return err
	}
	// Not the umask but we decide who may read it: it holds the initiators' secrets.
	if err := renameio.WriteFile(e.file, append(b, '\n'), 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("cannot remember what is exported: %w", err)
	}
	// Without it a power cut may bring the file back as it was before, and with it
	// LUNs that other volumes have had since.
	if err := e.syncDir(filepath.Dir(e.file)); err != nil {
		return fmt.Errorf("cannot remember what is exported: %w", err)
	}
	return nil
}
