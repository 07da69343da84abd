// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// SPAdminPort is the port of an SP's admin address that is written without one.
const SPAdminPort = mallee.SANAdminPort

// maxRate bounds calls a second; nobody gets there.
const maxRate = 1_000_000

var (
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`)
	// The name of a storage processor ends that of its target, and iSCSI names are
	// lower-case (RFC 7143 §4.2.7.2).
	spForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)
	// What the property storage.sanuser can be.
	userForm = regexp.MustCompile(`^[!-~]{1,255}$`)
	// The rule of lvm.ValidName, which stays with those who use LVM; a test holds
	// the two together.
	lvmForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)
)

// Check reports the first value that breaks a rule, with its key and the rule.
func (c Log) Check() error {
	if _, err := telemetry.ParseLevel(c.Level); err != nil {
		return fmt.Errorf("log.level: %w", err)
	}
	if c.Format != "json" && c.Format != "text" {
		return broken("log.format", c.Format, "json or text")
	}
	return nil
}

// Check reports every value that breaks a rule, with its key and the rule.
func (c Storage) Check() error {
	var errs []error
	if !filepath.IsAbs(c.EucalyptusConf) {
		errs = append(errs, broken("storage.eucalyptus_conf", c.EucalyptusConf, "the absolute path of a file"))
	}
	for _, label := range slices.Sorted(maps.Keys(c.Interfaces)) {
		if !mallee.ValidLabel(label) {
			errs = append(errs, fmt.Errorf("storage.interfaces has the label %q: write at most 64 of letters, digits, '_', '-' and '.'", label))
		}
		if device := c.Interfaces[label]; !mallee.ValidNetDevice(device) {
			errs = append(errs, broken(fmt.Sprintf("storage.interfaces.%q", label), device, `the name of a network device, "eth1"`))
		}
	}
	return errors.Join(errs...)
}

// Check reports every value that breaks a rule, with its key and the rule.
func (c CLC) Check() error {
	errs := []error{
		directory("clc.state_dir", c.StateDir),
		listen("clc.listen", c.Listen),
		listen("clc.agent_listen", c.AgentListen),
		c.checkEtcd(),
	}
	if !(c.APIRate > 0 && c.APIRate <= maxRate) {
		errs = append(errs, broken("clc.api_rate", strconv.FormatFloat(c.APIRate, 'g', -1, 64), "calls a second, above 0 and at most 1000000"))
	}
	if c.APIBurst < 1 || c.APIBurst > maxRate {
		errs = append(errs, broken("clc.api_burst", strconv.Itoa(c.APIBurst), "a number of calls, 1 to 1000000"))
	}
	if len(c.Names) == 0 {
		errs = append(errs, errors.New("clc.names is empty: name at least one host name or address"))
	}
	for _, n := range c.Names {
		if _, err := netip.ParseAddr(n); err != nil && !hostForm.MatchString(n) {
			errs = append(errs, broken("clc.names", n, "a host name or an address, without a port"))
		}
	}
	if c.CertificateLifetime < time.Minute {
		errs = append(errs, broken("clc.certificate_lifetime", c.CertificateLifetime.String(), "1m or more"))
	}
	return errors.Join(errs...)
}

// Check reports every value that breaks a rule, with its key and the rule.
func (c SC) Check() error {
	return errors.Join(
		partition("sc.partition", c.Partition), dialed("sc.clc", c.CLC),
		directory("sc.certs", c.Certs), listen("sc.metrics_listen", c.MetricsListen),
	)
}

// Check reports every value that breaks a rule, with its key and the rule.
func (c NC) Check() error {
	return errors.Join(
		partition("nc.partition", c.Partition), dialed("nc.clc", c.CLC),
		directory("nc.certs", c.Certs), listen("nc.metrics_listen", c.MetricsListen),
	)
}

// Check reports every value that breaks a rule, with its key and the rule.
func (c SP) Check() error {
	return errors.Join(
		matches("sp.name", c.Name, spForm, "lower-case letters, digits, '.' and '-', at most 63, the first and the last a letter or a digit"),
		matches("sp.volume_group", c.VolumeGroup, lvmForm, lvmRule),
		matches("sp.pool", c.Pool, lvmForm, lvmRule),
		overcommit("sp.overcommit", c.Overcommit),
		percentage("sp.data_alarm", c.DataAlarm), percentage("sp.metadata_alarm", c.MetadataAlarm),
		addresses("sp.admin_addresses", c.AdminAddresses, SPAdminPort),
		portals("sp.data_addresses", c.DataAddresses),
		c.checkLogin(), dialed("sp.clc", c.CLC),
		directory("sp.state_dir", c.StateDir), directory("sp.certs", c.Certs), listen("sp.metrics_listen", c.MetricsListen),
	)
}

// checkLogin checks what the storage processor asks storage controllers for.
func (c SP) checkLogin() error {
	switch {
	case c.SANUser == "" && c.SANPasswordFile == "":
		return nil
	case c.SANUser == "" || c.SANPasswordFile == "":
		return errors.New("sp.san_user and sp.san_password_file go together: give both or none")
	case !userForm.MatchString(c.SANUser):
		return broken("sp.san_user", c.SANUser, "at most 255 printable ASCII characters without blanks")
	case !filepath.IsAbs(c.SANPasswordFile):
		return broken("sp.san_password_file", c.SANPasswordFile, "the absolute path of a file")
	}
	return nil
}

const lvmRule = "at most 100 of letters, digits, '_', '.', '+' and '-', beginning with a letter, a digit or '_'"

// broken says which key has which value and what the rule is.
func broken(key, value, rule string) error {
	if value == "" {
		return fmt.Errorf("%s is required: write %s", key, rule)
	}
	return fmt.Errorf("%s is %q: write %s", key, value, rule)
}

func matches(key, value string, form *regexp.Regexp, rule string) error {
	if !form.MatchString(value) {
		return broken(key, value, rule)
	}
	return nil
}

func partition(key, value string) error {
	if !mallee.ValidPartition(value) {
		return broken(key, value, "a letter, then up to 62 letters, digits, '_' and '-'")
	}
	return nil
}

func directory(key, value string) error {
	if !filepath.IsAbs(value) {
		return broken(key, value, "the absolute path of a directory")
	}
	return nil
}

// What may be promised of 16 TiB a thousand times still fits 64 bits.
func overcommit(key string, value float64) error {
	if !(value >= 1 && value <= 1000) {
		return broken(key, strconv.FormatFloat(value, 'g', -1, 64), "a number from 1 to 1000")
	}
	return nil
}

func percentage(key string, value int) error {
	if value < 1 || value > 99 {
		return broken(key, strconv.Itoa(value), "a number of percent from 1 to 99")
	}
	return nil
}

func listen(key, value string) error {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return broken(key, value, `"address:port", or ":port" for every address`)
	}
	return nil
}

// dialed accepts none: the joining has left the addresses beside the certificate.
func dialed(key string, values []string) error {
	const rule = `"host:port" of at least one cloud controller`
	for _, v := range values {
		host, port, err := net.SplitHostPort(v)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n == 0 || host == "" {
			return broken(key, v, rule)
		}
	}
	return nil
}

func addresses(key string, values []string, port uint16) error {
	if len(values) == 0 {
		return broken(key, "", "at least one address")
	}
	if _, err := mallee.ParseAddrs(strings.Join(values, ","), port); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// portals accepts addresses that initiators can be told: a link-local one has a zone
// that means nothing on their machines.
func portals(key string, values []string) error {
	if err := addresses(key, values, mallee.ISCSIPort); err != nil {
		return err
	}
	list, err := mallee.ParseAddrs(strings.Join(values, ","), mallee.ISCSIPort)
	for _, a := range list {
		if a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
			return broken(key, a.String(), "an address that other machines can reach, which a link-local one is not")
		}
	}
	return err
}
