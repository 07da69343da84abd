// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) restore() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of what the cloud controller holds",
		Long: `Put a backup in the place of what the cloud controller holds. All of the backup is
checked before anything is changed. Then the controller starts anew, with the
restored keys and the restored certificate authority.

Volumes stay where they are, and attached. What has come since the backup is left
alone, and told of in the logs of storage controllers and nodes. A detach that was
under way then has to be asked for again.`,
		Example: "  mallee restore /srv/backup/clc.mallee\n  mallee restore --force /srv/backup/clc.mallee",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return &mallee.Error{Op: "restore", Kind: mallee.Invalid, ID: args[0], Err: err}
			}
			defer f.Close()
			c, err := t.connect()
			if err != nil {
				return err
			}
			p := t.progress()
			r, err := c.Restore(cmd.Context(), &sending{f, p}, force)
			p.end()
			if err != nil {
				return failure("restore", args[0], err)
			}
			err = t.print(r, func() string {
				return fmt.Sprintf("restoring what was there at %s: %d volumes, %d attachments, %d nodes\n",
					r.Created.UTC().Format(time.RFC3339), r.Volumes, r.Attachments, r.Nodes)
			})
			if err != nil {
				return err
			}
			t.hint("the cloud controller starts anew; its keys may be others now: %s", sourceEnvironment)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace volumes, attachments and nodes that the cloud controller holds")
	return cmd
}

// sending tells that a restore is under way whenever a part of the file is read.
type sending struct {
	io.ReadSeeker
	p *progress
}

// Read implements io.Reader.
func (s *sending) Read(b []byte) (int, error) {
	s.p.tell("sending the backup")
	return s.ReadSeeker.Read(b)
}
