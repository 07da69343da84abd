// SPDX-License-Identifier: Apache-2.0

package mallee

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// SANAdminPort is the port of an admin address in sanhost that has none.
const SANAdminPort = 8775

const (
	backend = "mallee" // the only legal value of blockstoragemanager
	// maxTotalGiB is an exbibyte, so that sums of sizes in bytes fit 64 bits.
	maxTotalGiB = 1 << 30
	wordRule    = "At most 255 printable ASCII characters without blanks, or nothing."
)

func checkPaths(value string) error {
	_, err := ParsePaths(value)
	return err
}

func checkHosts(value string) error {
	_, err := ParseHosts(value, SANAdminPort)
	return err
}

// number returns the check of a whole number of units from 1 to most, spelt in one
// way only: a change is told by comparing texts.
func number(unit string, most int) func(string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > most || strconv.Itoa(n) != value {
			return fmt.Errorf("%q is not a number of %s from 1 to %d", value, unit, most)
		}
		return nil
	}
}

var (
	wordForm  = regexp.MustCompile(`^[!-~]{0,255}$`)
	affixForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,32}$`)
)

func checkWord(value string) error {
	if !wordForm.MatchString(value) {
		return fmt.Errorf("%q is not of at most 255 printable ASCII characters without blanks", value)
	}
	return nil
}

// checkPassword keeps the value out of its errors.
func checkPassword(value string) error {
	switch {
	case value == HiddenValue:
		// Whoever sends back what was shown would lose the password.
		return errors.New("these asterisks stand for a value that is not shown, and are none themselves: give the value, or reset it")
	case strings.TrimRight(value, "\r\n") != value:
		return errors.New("it ends with a line feed: leave that out (printf %s, not echo)")
	case !wordForm.MatchString(value):
		return errors.New("it is not of at most 255 printable ASCII characters without blanks")
	}
	return nil
}

// checkCHAPUser holds to what the kernel's target and open-iscsi take. The former
// takes a name that begins with NULL for none at all (iscsi_target_configfs.c,
// DEF_NODE_AUTH_STR).
func checkCHAPUser(value string) error {
	switch {
	case value == "":
		return fmt.Errorf("it is empty: write %s for a user name of each node's own", NoUser)
	case strings.HasPrefix(value, "NULL"):
		return fmt.Errorf("%q begins with NULL, which the SAN takes for no name at all", value)
	}
	return checkWord(value)
}

func checkBackend(value string) error {
	if value != backend {
		return fmt.Errorf("Cannot modify %s new value is not a valid value.  Legal values are: %s", PropertyBackend, backend) //nolint:staticcheck // the original's words
	}
	return nil
}

func checkAffix(value string) error {
	if !affixForm.MatchString(value) {
		return fmt.Errorf("%q is not of at most 32 letters, digits, '_', '.' and '-'", value)
	}
	return nil
}

// checkPrefix refuses what a tool of the SAN would take for an option, or for a path.
func checkPrefix(value string) error {
	if strings.HasPrefix(value, "-") || strings.HasPrefix(value, ".") {
		return fmt.Errorf("%q begins with '-' or '.'", value)
	}
	return checkAffix(value)
}
