// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/config"
	"github.com/mallee-io/mallee/internal/join"
	"github.com/mallee-io/mallee/internal/rpc"
)

// another returns a machine of the same cloud with a configuration of its own.
func (m *machine) another(configuration string) *machine {
	m.t.Helper()
	other := *m
	other.dir = m.t.TempDir()
	other.config = filepath.Join(other.dir, "etc", "malleed.toml")
	if configuration != "" {
		if err := os.MkdirAll(filepath.Dir(other.config), 0o700); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(other.config, []byte(strings.ReplaceAll(configuration, "DIR", other.dir)), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(other.dir, "initiatorname.iscsi"), []byte("InitiatorName="+initiator+"-other\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return &other
}

const noDefaults = "[nc]\npartition = 'PARTI00'\ncerts = 'DIR/nc'\n[sp]\nname = 'san'\nvolume_group = 'vg0'\nadmin_addresses = ['127.0.0.1']\n" +
	"data_addresses = ['127.0.0.1']\ncerts = 'DIR/sp'\n"

func TestJoinRefusesWhatTheConfigurationContradicts(t *testing.T) {
	m := newMachine(t)
	m.start("clc")
	sp, nc := m.token("sp", "san"), m.token("nc", "nc1")
	for name, c := range map[string]struct {
		configuration, role, token, tells string
	}{
		"another partition":    {strings.Replace(noDefaults, "PARTI00", "OTHER", 1), "nc", nc, `nc.partition is "OTHER" and the token is for partition PARTI00`},
		"another name":         {strings.Replace(noDefaults, "'san'", "'san2'", 1), "sp", sp, `sp.name is "san2" and the token is for san`},
		"no section of an SP":  {"[log]\nlevel = 'info'\n", "sp", sp, "there is no section [sp]: write it first"},
		"token of another":     {noDefaults, "nc", sp, "the token is for a part of role sp"},
		"no token":             {noDefaults, "nc", "hello", "this is no join token"},
		"a misspelt key":       {"[nc]\npartitoin = 'PARTI00'\n", "nc", nc, "unknown key"},
		"a URL without scheme": {noDefaults, "nc", nc, "is not of the form https://host:8773"},
	} {
		t.Run(name, func(t *testing.T) {
			other := m.another(c.configuration)
			url := m.api
			if strings.HasPrefix(name, "a URL") {
				url = strings.TrimPrefix(url, "https://")
			}
			err := other.malleed(t.Context(), c.role, "join", url, c.token)
			if err == nil || !strings.Contains(err.Error(), c.tells) {
				t.Errorf("got %v, want an error that tells %s", err, c.tells)
			}
		})
	}
	if err := m.another(noDefaults).malleed(t.Context(), "nc", "join", m.api, nc); err != nil {
		t.Errorf("the token is no longer good: %v", err)
	}
}

func TestJoinWritesTheSectionThatIsMissing(t *testing.T) {
	m := newMachine(t)
	m.start("clc")
	token := m.token("sc", "sc7")
	// Its default is a directory of the system's.
	other := m.another("[log]\nlevel = 'error'")
	c, err := config.Load(other.config)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := join.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	if dir, err := agrees(c, parsed); err != nil || dir != "/etc/mallee/sc" {
		t.Errorf("the bundle goes to %s, %v", dir, err)
	}
	if err := writeSection(other.config, parsed); err != nil {
		t.Fatal(err)
	}
	c, err = config.Load(other.config)
	if err != nil || c.SC.Partition != "PARTI00" || len(c.SC.CLC) != 0 || c.Log.Level != "error" {
		t.Errorf("the configuration is %+v, %v", c, err)
	}
}

func TestAUsedTokenIsSuccessWhereItWasUsed(t *testing.T) {
	m := newMachine(t)
	m.start("clc")
	token := m.token("nc", "nc1")
	here, there := m.another(noDefaults), m.another(noDefaults)
	for range 2 {
		if err := here.malleedWith(t.Context(), token, "nc", "join", m.api, "-"); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(here.dir, "nc", rpc.BundleFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle has mode %v, %v", info.Mode(), err)
	}
	if err := there.malleed(t.Context(), "nc", "join", m.api, token); mallee.KindOf(err) != mallee.Denied {
		t.Errorf("on another machine: %v", err)
	}
}

func TestAStorageProcessorAnswersItsPartitionAlone(t *testing.T) {
	m := newMachine(t)
	m.start("clc")
	san := m.storageProcessor()
	made, err := m.admin().CreateJoinToken(t.Context(), mallee.JoinTokenSpec{Role: mallee.RoleSC, Name: "far", Partition: "ELSEWHERE"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := join.ParseToken(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := join.Join(t.Context(), join.Options{URL: m.api, Token: token, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	far, err := openPart(rpc.SC, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := far.dial(rpc.SP)(san)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = spv1.NewStorageProcessorClient(conn).Info(t.Context(), &spv1.InfoRequest{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "ELSEWHERE") || !strings.Contains(err.Error(), "PARTI00") {
		t.Errorf("got %v, want an error with both partitions", err)
	}
	// Nor does the storage processor answer one that would call all the same.
	own, err := openPart(rpc.SP, filepath.Join(m.dir, "sp"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.admitSC(t.Context(), far.bundle.Identity(), true); mallee.KindOf(err) != mallee.Denied || !strings.Contains(err.Error(), "ELSEWHERE") {
		t.Errorf("it answers %v", err)
	}
	if err := own.of("PARTI01"); err == nil {
		t.Error("a part starts with a configuration for another partition")
	}
}
