// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/clc"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

func newCLCCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clc",
		Short: "Run the cloud controller",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, o, rpc.CLC, runCLC) },
	}
	cmd.AddCommand(newCLCIssueCommand(o))
	return cmd
}

func runCLC(ctx context.Context, c *config.Config, log *slog.Logger) error {
	if err := c.CLC.Check(); err != nil {
		return err
	}
	return clc.Run(ctx, clc.Options{
		StateDir: c.CLC.StateDir, Listen: c.CLC.Listen, AgentListen: c.CLC.AgentListen, Names: c.CLC.Names,
		Etcd:    store.External{Endpoints: c.CLC.EtcdEndpoints, CAFile: c.CLC.EtcdCA, CertFile: c.CLC.EtcdCert, KeyFile: c.CLC.EtcdKey},
		APIRate: c.CLC.APIRate, APIBurst: c.CLC.APIBurst, Log: log,
	})
}

func newCLCIssueCommand(o *options) *cobra.Command {
	var role, name, out string
	var hosts []string
	var validity time.Duration
	cmd := &cobra.Command{
		Use:   "issue --role ROLE --name NAME --out DIR",
		Short: "Issue the certificate bundle of a part",
		Long: "Issue writes ca.pem, cert.pem and key.pem for one part of the cluster to a directory.\n" +
			"Run it on the cloud controller's machine and take the directory to the part's.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			// The controller issues its own at each start. Another would let its
			// holder pass for the controller.
			if rpc.Role(role) == rpc.CLC {
				return errors.New("cannot issue a certificate: role clc needs none, the cloud controller makes its own")
			}
			c, err := config.Load(o.configPath)
			if err != nil {
				return err
			}
			if err := c.CLC.Check(); err != nil {
				return fmt.Errorf("%s: %w", o.configPath, err)
			}
			authority, err := ca.OpenOrCreate(filepath.Join(c.CLC.StateDir, "ca"))
			if err != nil {
				return err
			}
			certPEM, keyPEM, caPEM, err := authority.Issue(ca.IssueOptions{
				Role: rpc.Role(role), Name: name, Hosts: hosts, Validity: validity,
			})
			if err != nil {
				return err
			}
			return ca.WriteBundle(out, certPEM, keyPEM, caPEM)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "sc, nc or sp")
	cmd.Flags().StringVar(&name, "name", "", "the part's name, unique in its role")
	cmd.Flags().StringVar(&out, "out", "", "the directory to write to; it is made")
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "a host name or address that the certificate is good for as well")
	cmd.Flags().DurationVar(&validity, "validity", ca.DefaultValidity, "for how long the certificate is good")
	for _, flag := range []string{"role", "name", "out"} {
		_ = cmd.MarkFlagRequired(flag)
	}
	return cmd
}
