// SPDX-License-Identifier: Apache-2.0

// Command malleed runs a role of Mallee on a machine: cloud controller (clc),
// storage controller (sc), node controller (nc) or storage processor (sp).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// version is set by the linker for a release; see buildVersion for other builds.
var version string

// options are the flags that every subcommand has.
type options struct {
	configPath string
	iscsiDir   string // replaces /etc/iscsi in tests
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newRootCommand(&options{}).ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "malleed: %v\n", err)
		if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
			fmt.Fprintf(os.Stderr, "  %s\n", e.Hint)
		}
		stop()
		os.Exit(1)
	}
}

func newRootCommand(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:           "malleed",
		Short:         "Run a role of Mallee: block volumes on an iSCSI SAN over several paths",
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&o.configPath, "config", config.DefaultPath, "the configuration file")
	root.AddCommand(newCLCCommand(o), newSCCommand(o), newNCCommand(o), newSPCommand(o))
	return root
}

// run loads the configuration, makes the logger of role and calls f, whose
// context ends with SIGINT or SIGTERM. That ending is no error.
func run(cmd *cobra.Command, o *options, role rpc.Role, f func(context.Context, *config.Config, *slog.Logger) error) error {
	c, err := config.Load(o.configPath)
	if err != nil {
		return err
	}
	level, err := telemetry.ParseLevel(c.Log.Level)
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(os.Stderr, telemetry.LogOptions{Role: string(role), Format: c.Log.Format, Level: level})
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	log.InfoContext(ctx, "starting", "version", buildVersion(), "config", o.configPath)
	if err := f(ctx, c, log); err != nil && !(ctx.Err() != nil && errors.Is(err, context.Canceled)) {
		return err
	}
	log.InfoContext(ctx, "stopped")
	return nil
}

// buildVersion returns the version of a release, or the revision that the
// toolchain has stamped into any other build.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return info.Main.Version
}
