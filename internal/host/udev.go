// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

var (
	//go:embed udev.rules
	udevRules string
	//go:embed udev-late.rules
	lateUdevRules string
)

const (
	rulesDir = "/etc/udev/rules.d"

	// sgRules are those of sg3-utils-udev, without which multipath-tools does not
	// come. They start sg_inq three times for each event of each disk, and sh and
	// sed after that, and have no flag that would keep them off. udev prefers a file
	// in /run to one of the same name in /usr/lib (udev(7)), and forgets it with
	// the next boot: there a copy stands that begins with our line.
	sgRules       = "55-scsi-sg3_id.rules"
	installedDir  = "/usr/lib/udev/rules.d"
	shadowDir     = "/run/udev/rules.d"
	sgRulesBypass = `ENV{.MALLEE_PATH}=="1", GOTO="sg3_utils_id_end"` + "\n"
)

// writeRules writes udev's rules and makes udev read them when they have changed.
func (h *Host) writeRules(ctx context.Context) error {
	early, err := h.write(rulesDir+"/55-mallee.rules", render(udevRules))
	if err != nil {
		return err
	}
	late, err := h.write(rulesDir+"/99-z-mallee.rules", render(lateUdevRules))
	if err != nil {
		return err
	}
	shadowed, err := h.bypassSG()
	if err != nil {
		return err
	}
	if !early && !late && !shadowed {
		return nil
	}
	if _, err := h.Run.Run(ctx, "udevadm", "control", "--reload"); err != nil {
		return fmt.Errorf("cannot make udev read its rules anew: %w", err)
	}
	return nil
}

// bypassSG puts our line before the rules of sg3-utils, if these are installed,
// and tells whether that changed anything.
func (h *Host) bypassSG() (changed bool, err error) {
	rules, err := os.ReadFile(h.path(filepath.Join(installedDir, sgRules)))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Contains(rules, []byte(`LABEL="sg3_utils_id_end"`)) {
		err = os.Remove(h.path(filepath.Join(shadowDir, sgRules)))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	return h.write(filepath.Join(shadowDir, sgRules), append([]byte(sgRulesBypass), rules...))
}

const (
	// naa begins the NAA identifier of every volume: LIO's (drivers/target/target_core_spc.c,
	// spc_emulate_evpd_83), then the digits that our storage processors begin a serial with.
	naa = "60014056d6c6c65"
	// naaDigits is the length of an identifier of type 6 (SPC-4, 7.8.6.6.5).
	naaDigits = 32
)

// render fills in a template of rules.
func render(rules string) []byte {
	type copied struct{ Pattern, Digit string }
	const rest = naaDigits - len(naa)
	var copies []copied
	for place := range rest {
		for _, digit := range strings.Split("0123456789abcdef", "") {
			pattern := "*" + naa + strings.Repeat("?", place) + digit + strings.Repeat("?", rest-place-1)
			copies = append(copies, copied{pattern, digit})
		}
	}
	var out bytes.Buffer
	err := template.Must(template.New("").Parse(rules)).Execute(&out, struct {
		Prefix, NAA, All string
		Digits           int
		Copies           []copied
	}{"3" + naa, naa, strings.Repeat("?", rest), rest, copies})
	if err != nil {
		panic(err) // the template is ours
	}
	return out.Bytes()
}
