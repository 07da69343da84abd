// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) backup() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Take a backup of the cloud controller",
		Long: `Take a backup of the cloud controller: all its records as of one moment, and the
cluster's certificate authority. What is on the volumes is not in it.

It holds secrets, the keys of all accounts and of the authority among them: whoever
reads it can act as any part of the cloud. The file is readable by its owner alone.
"-" writes it to stdout.`,
		Example: "  mallee backup /srv/backup/clc.mallee\n  mallee backup - | gpg --encrypt --recipient admin >clc.mallee.gpg",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			const op = "back up the cloud controller to"
			path := args[0]
			if _, err := os.Lstat(path); err == nil && path != "-" && !force {
				return fileExists(op, path)
			}
			c, err := t.connect()
			if err != nil {
				return err
			}
			save := saveFile
			if path == "-" {
				save = func(_ string, _ bool, write func(io.Writer) error) error { return write(t.stdout) }
			}
			p := t.progress()
			err = save(path, force, func(w io.Writer) error { return c.Backup(cmd.Context(), &receiving{w, p}) })
			p.end()
			if errors.Is(err, os.ErrExist) {
				return fileExists(op, path)
			}
			if err != nil {
				return failure(op, path, err)
			}
			t.hint("keep it where secrets are kept: it holds all keys of the cloud")
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return cmd
}

func fileExists(op, path string) error {
	return &mallee.Error{
		Op: op, Kind: mallee.Invalid, ID: path,
		Err: errors.New("the file is there already"), Hint: "choose another name, or --force to replace it",
	}
}

// saveFile has a file written beside path and then gives it that name, so that
// there is never half of one. The mode is 0600.
func saveFile(path string, replace bool, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		return os.Rename(f.Name(), path)
	}
	return os.Link(f.Name(), path) // fails if somebody was faster
}

// receiving tells that a backup is under way whenever a part of it has come.
type receiving struct {
	io.Writer
	p *progress
}

// Write implements io.Writer.
func (r *receiving) Write(b []byte) (int, error) {
	r.p.tell("taking the backup")
	return r.Writer.Write(b)
}
