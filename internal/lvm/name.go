// SPDX-License-Identifier: Apache-2.0

package lvm

import (
	"fmt"
	"regexp"
	"strings"
)

// nameForm is narrower than what lvm takes: no name begins with a dash, which
// would make it an option, and none has a slash, which would make it a path.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)

// reserved is what lvm keeps for parts of its own volumes (lvm(8), VALID NAMES, and
// the strings of lvm2 2.03.16).
var reserved = regexp.MustCompile(`^(snapshot|pvmove)|_(cdata|cmeta|corig|cpool|cvol|imeta|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)`)

// maxDevice is the longest name of a device-mapper device (DM_NAME_LEN in
// include/uapi/linux/dm-ioctl.h, less the byte that ends it).
const maxDevice = 127

// ValidName reports whether name can name a volume group, a pool or a volume.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// checkNew returns an ErrName unless a new volume can be called name.
func (p *Pool) checkNew(name string) error {
	switch {
	case !ValidName(name):
		return fmt.Errorf("%w: it may have 100 of letters, digits, '_', '.', '+' and '-', and begins with a letter, a digit or '_'", ErrName)
	case reserved.MatchString(name):
		return fmt.Errorf("%w: lvm keeps %q for itself", ErrName, reserved.FindString(name))
	}
	// The device is called GROUP-NAME, with each dash within them doubled.
	device := strings.ReplaceAll(p.group, "-", "--") + "-" + strings.ReplaceAll(name, "-", "--")
	if len(device) > maxDevice {
		return fmt.Errorf("%w: with volume group %s before it and each dash doubled it has %d characters, and may have %d",
			ErrName, p.group, len(device), maxDevice)
	}
	return nil
}
