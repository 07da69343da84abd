// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// state is what another process must know of a running lab.
type state struct {
	Program  string // base name of what started it
	Backend  string
	RunDir   string
	Topology Topology
}

func statePath() (string, error) {
	dir, err := cacheDir()
	return filepath.Join(dir, "running.json"), err
}

func saveState(s state) error {
	path, err := statePath()
	if err != nil {
		return err
	}
	return writeJSON(path, s)
}

func removeState() error {
	path, err := statePath()
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// Running returns the lab that another process started, and the name of that
// program. The caller must have called Join, and must not Close the lab.
func Running() (l *Lab, program string, err error) {
	path, err := statePath()
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("cannot find the running lab: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	b, err := backendNamed(s.Backend)
	if err != nil {
		return nil, "", err
	}
	return newLab(s.RunDir, s.Topology, b), s.Program, nil
}
