// SPDX-License-Identifier: Apache-2.0

package mallee_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mallee-io/mallee"

// Imports of the module are written by directory, "." for the root package;
// others by import path. A name stands for what is below it too.

// mayImport lists, for the directories whose worth is that they stand alone, all
// that they may import beyond the standard library.
var mayImport = map[string][]string{
	".":                  {},
	"client":             {".", "github.com/aws/aws-sdk-go-v2"},
	"cmd/mallee":         {".", "client", "github.com/aws/aws-sdk-go-v2/config", "github.com/spf13", "go.yaml.in/yaml/v3", "golang.org/x/sys"},
	"connector":          {"internal/block", "internal/command", "internal/dm", "internal/multipath", "internal/openiscsi", "internal/pathwatch", "golang.org/x/sync", "golang.org/x/sys"},
	"internal/agent":     {".", "api/cloud/v1", "google.golang.org/grpc"},
	"internal/block":     {"internal/command", "internal/sysfs", "golang.org/x/sys"},
	"internal/command":   {},
	"internal/dm":        {"internal/command", "golang.org/x/sys"},
	"internal/durable":   {},
	"internal/host":      {"internal/command", "internal/multipath", "internal/openiscsi", "golang.org/x/sys"},
	"internal/join":      {".", "api/cloud/v1", "internal/rpc", "github.com/google/renameio", "google.golang.org/grpc"},
	"internal/lio":       {".", "internal/command", "golang.org/x/sys"},
	"internal/lvm":       {".", "internal/command", "golang.org/x/sys"},
	"internal/multipath": {"internal/command", "golang.org/x/sys"},
	"internal/openiscsi": {"internal/command", "internal/sysfs", "golang.org/x/sys"},
	"internal/pathcheck": {"."},
	"internal/pathwatch": {"internal/command", "golang.org/x/sys"},
	"internal/reach":     {".", "golang.org/x/sys"},
	"internal/resolve":   {".", "internal/config"},
	"internal/rollout":   {},
	"internal/site":      {".", "api/cloud/v1", "internal/reach", "internal/resolve", "golang.org/x/sync"},
	"internal/sysfs":     {"golang.org/x/sys"},
}

// importers lists, for what must not spread, the directories that may import it.
var importers = map[string]struct {
	dirs []string
	why  string
}{
	"go.etcd.io":          {[]string{"internal/store"}, "records are read and written in one place, with one schema"},
	"os/exec":             {[]string{"internal/command", "internal/lab", "cmd/mallee-lab", "test"}, "one package starts processes, so that each has a deadline and no secret in its argv"},
	"internal/lab":        {[]string{"internal/lab", "cmd/mallee-lab", "test"}, "the lab is no part of the product"},
	"internal/agent":      {[]string{"internal/agent", "internal/nc", "internal/sc"}, "who follows the cloud controller is its agent"},
	"internal/lio":        {[]string{"internal/lio", "internal/sp", "cmd/malleed"}, "only a storage processor has a target"},
	"internal/lvm":        {[]string{"internal/lvm", "internal/sp", "cmd/malleed"}, "only a storage processor has a pool"},
	"internal/clc":        {[]string{"internal/clc", "cmd/malleed", "test"}, "roles know each other by messages only"},
	"internal/nc":         {[]string{"internal/nc", "cmd/malleed", "test"}, "roles know each other by messages only"},
	"internal/sc":         {[]string{"internal/sc", "cmd/malleed", "test"}, "roles know each other by messages only"},
	"internal/sp":         {[]string{"internal/sp", "cmd/malleed", "test"}, "roles know each other by messages only"},
	"cmd":                 {nil, "a command is nobody's library"},
	"test":                {[]string{"test"}, "scenarios are no part of the product"},
	"connector":           {[]string{"connector", "internal/nc", "internal/sc", "cmd/malleed", "test"}, "the parts that touch devices are the NC and the SC"},
	"internal/kerneltest": {nil, "it plays the machine for tests"},
	"internal/host":       {[]string{"internal/host", "internal/nc", "internal/sc", "internal/sp", "cmd/malleed", "test"}, "it changes the machine it runs on"},
}

// maxSize is the longest a file written by hand may be: beyond it, it says more than one thing.
const maxSize = 20 << 10

var emptyNames = []string{"common", "helper", "helpers", "models", "types", "util", "utils"}

// source is one .go file of the tree.
type source struct {
	path string // from the root of the module
	dir  string
	text []byte
	*ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns what s imports, the module's own packages by directory.
func (s source) imports(t *testing.T) []string {
	var list []string
	for _, spec := range s.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: import %s: %v", s.path, spec.Path.Value, err)
		}
		if path == module {
			path = "."
		}
		list = append(list, strings.TrimPrefix(path, module+"/"))
	}
	return list
}

func TestImportsPointInward(t *testing.T) {
	for _, s := range sources(t) {
		for _, path := range s.imports(t) {
			row := longest(slices.Collect(maps.Keys(mayImport)), s.dir)
			if allowed := mayImport[row]; row != "" && !s.isTest() && !standard(path) && longest(slices.Concat(allowed, []string{row}), path) == "" {
				t.Errorf("%s imports %s: %s may import the standard library and %q only", s.path, path, row, allowed)
			}
			for _, guarded := range slices.Sorted(maps.Keys(importers)) {
				// A test may stand on what its package must not, but on the lab only
				// behind the build tag: `make unit` runs without root.
				if s.isTest() && (guarded != "internal/lab" || strings.Contains(string(s.text), "\n//go:build lab\n")) {
					continue
				}
				rule := importers[guarded]
				if below(guarded, path) && longest(rule.dirs, s.dir) == "" {
					t.Errorf("%s imports %s, and only %q may: %s", s.path, path, rule.dirs, rule.why)
				}
			}
		}
	}
}

func TestPackagesHaveComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			documented[s.dir] = documented[s.dir] || s.Doc.Text() != ""
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] && !strings.HasPrefix(dir, "api/") {
			t.Errorf("%s: no file has a package comment: say what its nouns are", dir)
		}
	}
}

// TestArchitectureNamesEachPackage holds the page to the tree. A package below
// one that is named, as san/mem is, may go without.
func TestArchitectureNamesEachPackage(t *testing.T) {
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	unnamed := map[string]bool{}
	for _, s := range sources(t) {
		named := func(dir string) bool { return strings.Contains(string(page), "`"+dir+"`") }
		if s.dir != "api" && !named(s.dir) && !named(filepath.Dir(s.dir)) {
			unnamed[s.dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(unnamed)) {
		t.Errorf("%s: ARCHITECTURE.md does not say what it is: give it a line", dir)
	}
}

func TestFilesAreSmallNamedAndLicensed(t *testing.T) {
	for _, s := range sources(t) {
		if ast.IsGenerated(s.File) {
			continue
		}
		if len(s.text) > maxSize {
			t.Errorf("%s has %d bytes, the limit is %d: split it by what it says", s.path, len(s.text), maxSize)
		}
		if !strings.HasPrefix(string(s.text), "// SPDX-License-Identifier: Apache-2.0\n\n") {
			t.Errorf("%s: the first line must be the licence, and an empty line must keep it from being the package comment", s.path)
		}
		if slices.Contains(emptyNames, s.Name.Name) {
			t.Errorf("%s: %q says nothing of what is in the package", s.path, s.Name.Name)
		}
	}
}

// sources parses each .go file of the module up to its imports.
func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"build", "testdata", "tools"}, entry.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		list = append(list, source{path: path, dir: filepath.ToSlash(filepath.Dir(path)), text: text, File: file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("no source found: the test must run in the root of the module")
	}
	return list
}

// standard reports whether path is of the standard library: the first element of
// any other has a dot, or is a directory of the module.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	_, err := os.Stat(first)
	return !strings.Contains(first, ".") && err != nil
}

// below reports whether path is dir or in it. The root package is in nothing.
func below(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// longest returns the longest of dirs that path is below, or "".
func longest(dirs []string, path string) string {
	dirs = slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool { return !below(dir, path) })
	if len(dirs) == 0 {
		return ""
	}
	return slices.MaxFunc(dirs, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}
