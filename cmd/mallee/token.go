// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
)

func (t *tool) tokenCreate() *cobra.Command {
	var spec mallee.JoinTokenSpec
	var role string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token with which one machine can join the cloud",
		Long: `Make a token with which one machine can join the cloud, once, as the part that is
named. It is a secret until it is used or has expired. A part of that name that is
there already goes on until the token is used, and is locked out then; a node keeps
its instance id and its volumes, and gets another CHAP secret.`,
		Example: "  mallee token create --role nc --name nc1 --partition PARTI00\n" +
			"  mallee token create --role sp --name san --partition PARTI00 --lifetime 24h",
		Args: cobra.NoArgs,

		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "" || spec.Name == "" || spec.Partition == "" {
				return usageError{errors.New("--role, --name and --partition are needed"), cmd.CommandPath()}
			}
			spec.Role = mallee.Role(role)
			c, err := t.connect()
			if err != nil {
				return err
			}
			token, err := call(cmd.Context(), func(ctx context.Context) (mallee.JoinToken, error) { return c.CreateJoinToken(ctx, spec) })
			if err != nil {
				return failure("create a token for", spec.Name, err)
			}
			if err := t.print(recordJoinToken(token), func() string { return token.Token + "\n" }); err != nil {
				return err
			}
			t.hint("on the machine, before %s: malleed %s join %s -   (and give it the token on stdin)",
				token.Expires.UTC().Format(time.RFC3339), token.Role, t.clc)
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "what the machine becomes: sc, nc or sp")
	cmd.Flags().StringVar(&spec.Name, "name", "", "the part's name, unique in its role")
	cmd.Flags().StringVar(&spec.Partition, "partition", "", "the partition that it works for")
	cmd.Flags().StringSliceVar(&spec.Hosts, "host", nil, "a host name or address that its certificate is good for as well; may be given more than once")
	cmd.Flags().DurationVar(&spec.Lifetime, "lifetime", time.Hour, "how long the token can be used, 7 days (168h) at most")
	complete(cmd, "role", cobra.FixedCompletions([]cobra.Completion{"sc", "nc", "sp"}, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "partition", t.words(partitionWords))
	return cmd
}

type joinTokenRecord struct {
	Token     string      `json:"token"`
	Role      mallee.Role `json:"role"`
	Name      string      `json:"name"`
	Partition string      `json:"partition"`
	Hosts     []string    `json:"hosts,omitempty"`
	Expires   time.Time   `json:"expires"`
}

func recordJoinToken(t mallee.JoinToken) joinTokenRecord {
	return joinTokenRecord{Token: t.Token, Role: t.Role, Name: t.Name, Partition: t.Partition, Hosts: t.Hosts, Expires: t.Expires}
}
