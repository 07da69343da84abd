// SPDX-License-Identifier: Apache-2.0

package openiscsi

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
)

// temporary begins the names of files that are being written.
const temporary = ".mallee-"

// isFile reports whether file has just this content and only root can read it.
func isFile(file, content string) bool {
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 || info.Size() != int64(len(content)) {
		return false
	}
	have, err := os.ReadFile(file)
	return err == nil && string(have) == content
}

// writeFiles replaces files, given by their content, each at once and readable by
// root alone: iscsid must never see half a record, and records may hold secrets.
// Unless all could be written none is replaced. They are synced at the same time,
// which costs the disk little more than one would.
func (in *Initiator) writeFiles(content map[string]string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	temps := map[string]string{} // the file that each shall replace
	for file, text := range content {
		wg.Go(func() {
			temp, err := in.writeTemp(text)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if temp != "" {
				temps[temp] = file
			}
		})
	}
	wg.Wait()
	err := errors.Join(errs...)
	for temp, file := range temps {
		if err == nil {
			err = os.MkdirAll(filepath.Dir(file), 0o700)
		}
		if err == nil {
			err = os.Rename(temp, file)
		}
		if err != nil {
			os.Remove(temp)
		}
	}
	return err
}

// writeTemp writes a file with a name of its own and returns that, also with an
// error if there is something to remove. Beside its final name iscsiadm would take
// it for a record.
func (in *Initiator) writeTemp(text string) (string, error) {
	temp, err := os.CreateTemp(in.etc(), temporary+"*")
	if err != nil {
		return "", err
	}
	if _, err = temp.WriteString(text); err == nil {
		err = temp.Sync()
	}
	return temp.Name(), errors.Join(err, temp.Close())
}
