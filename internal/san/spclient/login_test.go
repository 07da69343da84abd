// SPDX-License-Identifier: Apache-2.0

package spclient_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/mallee-io/mallee"
	spv1 "github.com/mallee-io/mallee/api/sp/v1"
	"github.com/mallee-io/mallee/internal/san"
	"github.com/mallee-io/mallee/internal/san/spclient"
	"github.com/mallee-io/mallee/internal/sp"
)

func TestUserAndPasswordAreSentWithEachCallAsTheyAreThen(t *testing.T) {
	const password = "a;pass=word,%01"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login, err := sp.NewLogin("mallee", file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := login.Admit(ctx); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}))
	spv1.RegisterStorageProcessorServer(g, newServer(t))
	go g.Serve(l)
	t.Cleanup(g.Stop)

	var now san.Login
	at := netip.MustParseAddrPort(l.Addr().String())
	c := clientOf(t, spclient.Options{
		Hosts: []mallee.Endpoint{{Addr: at.Addr(), Port: at.Port()}},
		Login: func() san.Login { return now },
	})
	for _, tt := range []struct {
		login san.Login
		want  bool
	}{
		{san.Login{}, false},
		{san.Login{User: "mallee", Password: password}, true},
		{san.Login{User: "mallee", Password: "changed"}, false},
		{san.Login{User: "mallee", Password: password}, true},
	} {
		now = tt.login
		_, err := c.Volumes(t.Context())
		switch {
		case tt.want && err != nil:
			t.Errorf("with user and password: %v", err)
		case tt.want:
		case mallee.KindOf(err) != mallee.Denied || !strings.Contains(err.Error(), "storage.sanpassword"):
			t.Errorf("with %q, %q: error %v, want one of kind denied that names the property", now.User, now.Password, err)
		}
	}
	if _, dead := active(c); dead != 0 {
		t.Error("the host was blamed for the refusal")
	}
}
