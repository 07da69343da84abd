// SPDX-License-Identifier: Apache-2.0

package join

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/mallee-io/mallee"
)

// addressFile holds, in the bundle's directory, where the cloud controller said
// at the joining that it serves agents: an address a line.
const addressFile = "clc"

// Addresses returns the addresses, "host:port", that the joining has left in a
// bundle's directory.
func Addresses(dir string) ([]string, error) {
	path := filepath.Join(dir, addressFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &mallee.Error{
			Op: "find the cloud controller", Kind: mallee.Invalid, Hint: `write clc = ["host:8774"] into the section of the role, or join`,
			Err: fmt.Errorf("neither the configuration nor %s names it", path),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the cloud controller: %w", err)
	}
	list := strings.Fields(string(text))
	return list, checkAddresses(list)
}

func writeAddresses(dir string, list []string) error {
	if err := checkAddresses(list); err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, addressFile), []byte(strings.Join(list, "\n")+"\n"), 0o644)
}

func checkAddresses(list []string) error {
	if len(list) == 0 {
		return errors.New("cannot find the cloud controller: there is no address")
	}
	for _, address := range list {
		if _, _, err := net.SplitHostPort(address); err != nil || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("cannot find the cloud controller: %q is not of the form host:port", address)
		}
	}
	return nil
}

// reachable refuses a cloud controller that was called at an address of its own
// and names the loopback interface alone: the part would look for it on this machine.
func reachable(endpoint string, list []string) error {
	u, err := url.Parse(endpoint)
	if err != nil || loopback(u.Hostname()) {
		return err
	}
	for _, address := range list {
		if host, _, err := net.SplitHostPort(address); err != nil || !loopback(host) {
			return err
		}
	}
	return &mallee.Error{
		Op: "join at", Kind: mallee.IncorrectState, ID: endpoint,
		Err:  fmt.Errorf("the cloud controller serves parts at %s, which is this machine here", strings.Join(list, ", ")),
		Hint: "name what others call it in clc.names of its configuration, restart it, and join with the same token",
	}
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
