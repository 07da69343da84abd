// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/openiscsi"
)

// maxTokenText bounds what is read from stdin for a token.
const maxTokenText = 4 << 10

func newJoinCommand(o *options, role mallee.Role) *cobra.Command {
	return &cobra.Command{
		Use:   "join URL TOKEN",
		Short: "Make this machine the part that a join token is for",
		Long: fmt.Sprintf(`Make this machine the part that a join token is for. URL is the cloud controller's,
https://clc.example.net:8773. TOKEN is what "mallee token create --role %[1]s" has
printed; give "-" to have it read from stdin, so that it does not show in the list of
processes. The key is made here and never leaves the machine. Doing so again after it
has succeeded is success. A running "malleed %[1]s" must be restarted.`, role),
		Example: fmt.Sprintf("  malleed %s join https://10.109.1.1:8773 - <token", role),
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[1]
			if text == "-" {
				b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxTokenText))
				if err != nil {
					return fmt.Errorf("cannot read the token: %w", err)
				}
				text = string(b)
			}
			token, err := join.ParseToken(text)
			if err != nil {
				return err
			}
			if err := o.join(cmd.Context(), role, args[0], token); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "joined as %s %s of partition %s\n", token.Role, token.Name, token.Partition)
			return err
		},
	}
}

// join makes this machine a part. What the configuration says must not be other
// than what the token does, and is checked before anything is sent.
func (o *options) join(ctx context.Context, role mallee.Role, url string, token join.Token) error {
	if token.Role != role {
		return &mallee.Error{
			Op: "join as", Kind: mallee.Invalid, ID: token.Name, Hint: fmt.Sprintf("malleed %s join", token.Role),
			Err: fmt.Errorf("the token is for a part of role %s and not %s", token.Role, role),
		}
	}
	c, err := config.LoadIfThere(o.configPath)
	if err != nil {
		return err
	}
	dir, err := agrees(c, token)
	if err != nil {
		return &mallee.Error{Op: "join as", Kind: mallee.Invalid, ID: token.Name, Err: fmt.Errorf("%s: %w", o.configPath, err)}
	}
	var initiator string
	if role == mallee.RoleNC {
		if initiator, err = (&openiscsi.Initiator{Etc: o.iscsiDir}).Name(); err != nil {
			return err
		}
	}
	if err := join.Join(ctx, join.Options{URL: url, Token: token, Dir: dir, Initiator: mallee.IQN(initiator)}); err != nil {
		return err
	}
	if c.Has(string(role)) {
		return nil
	}
	return writeSection(o.configPath, token)
}

// writeSection adds the section of the token's role to a configuration. Where the
// cloud controller is stands beside the bundle: written here as well it would win
// over what the next joining is told.
func writeSection(path string, token join.Token) error {
	return config.Append(path, fmt.Sprintf("\n# Written when this machine joined the cloud.\n[%s]\npartition = %q\n", token.Role, token.Partition))
}

// agrees returns the bundle's directory, unless the configuration contradicts the
// token.
func agrees(c *config.Config, token join.Token) (dir string, err error) {
	partition := ""
	switch token.Role {
	case mallee.RoleSC:
		dir, partition = c.SC.Certs, c.SC.Partition
	case mallee.RoleNC:
		dir, partition = c.NC.Certs, c.NC.Partition
	case mallee.RoleSP:
		dir = c.SP.Certs
		if !c.Has("sp") {
			return "", errors.New("there is no section [sp]: write it first, with name, volume_group, admin_addresses and data_addresses")
		}
		if c.SP.Name != token.Name {
			return "", fmt.Errorf("sp.name is %q and the token is for %s", c.SP.Name, token.Name)
		}
	}
	if partition != "" && partition != token.Partition {
		return "", fmt.Errorf("%s.partition is %q and the token is for partition %s", token.Role, partition, token.Partition)
	}
	return dir, nil
}
