// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	sgInstalled = "/usr/lib/udev/rules.d/55-scsi-sg3_id.rules"
	sgShadow    = "/run/udev/rules.d/55-scsi-sg3_id.rules"
	sgText      = "ACTION==\"remove\", GOTO=\"sg3_utils_id_end\"\n…\nLABEL=\"sg3_utils_id_end\"\n"
)

// identity does what the rules do with a disk's or a map's identifier, and
// returns what they have copied.
func identity(t *testing.T, rules, from string) string {
	t.Helper()
	copies := regexp.MustCompile(`(?m)^ENV\{\.MALLEE_FROM\}=="(\S+)", ENV\{\.MALLEE_ID\}="\$env\{\.MALLEE_ID\}(.)"$`)
	var digits strings.Builder
	for _, c := range copies.FindAllStringSubmatch(rules, -1) {
		// udev matches as fnmatch(3) does: for these patterns, like path.Match.
		if ok, err := path.Match(c[1], from); err != nil {
			t.Fatal(err)
		} else if ok {
			digits.WriteString(c[2])
		}
	}
	return digits.String()
}

func TestUdevRulesCopyTheIdentity(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	rules := m.read(udevRules)
	for _, test := range []struct{ name, from, want string }{
		{"of a disk", "naa.60014056d6c6c650123456789abcdef0", "0123456789abcdef0"},
		{"of a map", "mpath-360014056d6c6c65fffffffffffffffff", "fffffffffffffffff"},
		{"the prefix once more", "naa.60014056d6c6c6560014056d6c6c65aa", "60014056d6c6c65aa"},
		{"another's", "naa.60014050123456789abcdef012345678", ""},
		{"too short", "naa.60014056d6c6c650123456789abcdef", ""},
		{"too long", "naa.60014056d6c6c650123456789abcdef01", ""},
		{"none", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := identity(t, rules, test.from); got != test.want {
				t.Errorf("%q gives %q, want %q", test.from, got, test.want)
			}
		})
	}
	// What is copied in part is no identity.
	if want := `ENV{.MALLEE_ID}!="?????????????????", GOTO="mallee_end"`; !strings.Contains(rules, want) {
		t.Errorf("the rules lack %s", want)
	}
}

// udev ignores a rule that jumps to nowhere, with no more than a line in its log.
func TestUdevRulesJumpForwardToTheirLabels(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	for _, file := range []string{udevRules, lateUdevRules} {
		rules := m.read(file)
		for _, at := range regexp.MustCompile(`GOTO="(\w+)"`).FindAllStringSubmatchIndex(rules, -1) {
			label := `LABEL="` + rules[at[2]:at[3]] + `"`
			if !strings.Contains(rules[at[1]:], label) {
				t.Errorf("%s: no %s follows", file, label)
			}
		}
	}
}

// The rules of sg3-utils start a process for each disk, and have no flag for ours.
func TestTheRulesOfSG3UtilsAreLedPastOurDisks(t *testing.T) {
	m := newMachine(t)
	m.prepare()
	if _, err := os.Stat(filepath.Join(m.Root, sgShadow)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without sg3-utils: %v", err)
	}
	m.calls()
	for _, test := range []struct{ name, installed, want string }{
		{"installed", sgText, `ENV{.MALLEE_PATH}=="1", GOTO="sg3_utils_id_end"` + "\n" + sgText},
		{"upgraded", "# new\n" + sgText, `ENV{.MALLEE_PATH}=="1", GOTO="sg3_utils_id_end"` + "\n# new\n" + sgText},
		{"without the label", "# quite new\n", ""},
		{"removed", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := m.shadow()
			if test.installed != "" {
				m.write(sgInstalled, test.installed)
			} else if err := os.Remove(filepath.Join(m.Root, sgInstalled)); err != nil {
				t.Fatal(err)
			}
			m.prepare()
			if got := m.shadow(); got != test.want {
				t.Errorf("udev reads\n%s, want\n%s", got, test.want)
			}
			if told := strings.Contains(m.calls(), "udevadm control --reload"); told != (before != test.want) {
				t.Errorf("udev was told: %t", told)
			}
		})
	}
}

// shadow returns what stands in front of the rules of sg3-utils, or nothing.
func (m *machine) shadow() string {
	text, err := os.ReadFile(filepath.Join(m.Root, sgShadow))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(text)
}
