// SPDX-License-Identifier: Apache-2.0

// Package config reads the one configuration file of malleed, in TOML. Each
// role has a section named after it; a machine's file holds the sections of the
// roles that run there. A key that no section knows is an error, so that a
// misspelt one is not silently without effect.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/renameio/v2"
)

// DefaultPath is where the file is when none is named.
const DefaultPath = "/etc/mallee/malleed.toml"

// Config is the whole file. A key that is not given has the default that its
// comment tells.
type Config struct {
	Log     Log     `toml:"log"`
	Storage Storage `toml:"storage"`
	CLC     CLC     `toml:"clc"`
	SC      SC      `toml:"sc"`
	NC      NC      `toml:"nc"`
	SP      SP      `toml:"sp"`

	sections map[string]bool // that the file has
}

// Has reports whether the file has the section of a role.
func (c *Config) Has(section string) bool { return c.sections[section] }

// Log says how a daemon logs.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn or error; "info"
	Format string `toml:"format"` // json or text; "json"
}

// Storage says how this machine is connected to the SAN, for the roles that log
// in to it: NC and SC.
type Storage struct {
	// EucalyptusConf is the original's file, whose STORAGE_INTERFACES counts too;
	// it need not be there; "/etc/eucalyptus/eucalyptus.conf".
	EucalyptusConf string `toml:"eucalyptus_conf"`
	// Interfaces is the net device, "eth1", that each label of ncpaths and scpaths
	// stands for here.
	Interfaces map[string]string `toml:"interfaces"`
}

// CLC configures the cloud controller.
type CLC struct {
	StateDir    string `toml:"state_dir"`    // etcd's data, the CA and admin.env; "/var/lib/mallee/clc"
	Listen      string `toml:"listen"`       // HTTPS for people's tools; ":8773"
	AgentListen string `toml:"agent_listen"` // gRPC for SCs and NCs; ":8774"
	// Names are the host names and addresses that the HTTPS certificate is good
	// for. The first is the one that admin.env names; ["localhost"].
	Names []string `toml:"names"`
	// APIRate is how many API calls a second one access key may make; 100.
	// APIBurst is how many it may make at once after a pause; 200.
	APIRate  float64 `toml:"api_rate"`
	APIBurst int     `toml:"api_burst"`
	// EtcdEndpoints are the members of an external etcd, "https://host:2379" each;
	// without any, etcd runs within the cloud controller.
	EtcdEndpoints []string `toml:"etcd_endpoints"`
	EtcdCA        string   `toml:"etcd_ca"`   // PEM file of who vouches for the members; the system's authorities
	EtcdCert      string   `toml:"etcd_cert"` // PEM file that the members ask for, if they do
	EtcdKey       string   `toml:"etcd_key"`  // PEM file of its key
	// CertificateLifetime is for how long the certificates of all parts are good,
	// "720h" for example, 1 minute at least. Parts renew theirs when two thirds of
	// it are over; 30 days.
	CertificateLifetime time.Duration `toml:"certificate_lifetime"`
}

// SC configures the storage controller of a partition.
type SC struct {
	Partition     string   `toml:"partition"`      // required
	CLC           []string `toml:"clc"`            // "host:port" of each cloud controller's agent_listen; what the joining has told
	Certs         string   `toml:"certs"`          // directory of the certificate bundle; "/etc/mallee/sc"
	MetricsListen string   `toml:"metrics_listen"` // "127.0.0.1:9774"
}

// NC configures a node controller.
type NC struct {
	Partition     string   `toml:"partition"`      // required
	CLC           []string `toml:"clc"`            // "host:port" of each cloud controller's agent_listen; what the joining has told
	Certs         string   `toml:"certs"`          // directory of the certificate bundle; "/etc/mallee/nc"
	MetricsListen string   `toml:"metrics_listen"` // "127.0.0.1:9776"
}

// SP configures a storage processor.
type SP struct {
	Name        string `toml:"name"`         // required
	VolumeGroup string `toml:"volume_group"` // of LVM; required
	Pool        string `toml:"pool"`         // the thin pool in it; "mallee-pool"
	// Overcommit is how many times the pool's size may be promised to volumes; 10.
	Overcommit float64 `toml:"overcommit"`
	// DataAlarm and MetadataAlarm are the percentages of the pool's room for data and
	// for metadata above which its admin is told; 80.
	DataAlarm     int `toml:"data_alarm"`
	MetadataAlarm int `toml:"metadata_alarm"`
	// AdminAddresses are where the admin interface listens, with 8775 as the
	// port of one that has none; required.
	AdminAddresses []string `toml:"admin_addresses"`
	// DataAddresses are the iSCSI portals, with 3260 as the port of one that has
	// none; required.
	DataAddresses []string `toml:"data_addresses"`
	// SANUser and SANPasswordFile, a file of mode 0600 with one line, are what storage
	// controllers must prove themselves with, as storage.sanuser and
	// storage.sanpassword say; without them their certificates are enough.
	SANUser         string `toml:"san_user"`
	SANPasswordFile string `toml:"san_password_file"`

	CLC           []string `toml:"clc"`            // "host:port" of each cloud controller's agent_listen, which renews the certificate; what the joining has told
	StateDir      string   `toml:"state_dir"`      // "/var/lib/mallee/sp"
	Certs         string   `toml:"certs"`          // directory of the certificate bundle; "/etc/mallee/sp"
	MetricsListen string   `toml:"metrics_listen"` // "127.0.0.1:9775"
}

func defaults() *Config {
	return &Config{
		Log:     Log{Level: "info", Format: "json"},
		Storage: Storage{EucalyptusConf: "/etc/eucalyptus/eucalyptus.conf"},
		CLC: CLC{
			StateDir: "/var/lib/mallee/clc", Listen: ":8773", AgentListen: ":8774", Names: []string{"localhost"},
			APIRate: 100, APIBurst: 200, CertificateLifetime: 30 * 24 * time.Hour,
		},
		SC: SC{Certs: "/etc/mallee/sc", MetricsListen: "127.0.0.1:9774"},
		NC: NC{Certs: "/etc/mallee/nc", MetricsListen: "127.0.0.1:9776"},
		SP: SP{
			Pool: "mallee-pool", Overcommit: 10, DataAlarm: 80, MetadataAlarm: 80,
			Certs: "/etc/mallee/sp", StateDir: "/var/lib/mallee/sp", MetricsListen: "127.0.0.1:9775",
		},
	}
}

// Load reads the file at path, fills in the defaults and checks [log], [storage]
// and every section that the file has. A role checks its own section once more when it
// starts, and so finds out when the file has none.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	c, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// LoadIfThere is Load, and for a file that is not there returns the defaults.
func LoadIfThere(path string) (*Config, error) {
	c, err := Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return parse("")
	}
	return c, err
}

// Append adds a section to the end of the file at path, which is made if it is
// not there. The file is replaced whole, and only by one that Load accepts.
func Append(path, section string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, section...)
	if _, err := parse(string(text)); err != nil {
		return fmt.Errorf("cannot add to %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot add to %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, text, 0o644, renameio.WithExistingPermissions()); err != nil {
		return fmt.Errorf("cannot add to %s: %w", path, err)
	}
	return nil
}

func parse(text string) (*Config, error) {
	c := defaults()
	meta, err := toml.Decode(text, c)
	if err != nil {
		return nil, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, k := range unknown {
			names[i] = k.String()
		}
		return nil, fmt.Errorf("unknown key %s", strings.Join(names, ", "))
	}
	c.sections = map[string]bool{}
	errs := []error{c.Log.Check(), c.Storage.Check()}
	for section, check := range map[string]func() error{
		"clc": c.CLC.Check, "sc": c.SC.Check, "nc": c.NC.Check, "sp": c.SP.Check,
	} {
		if c.sections[section] = meta.IsDefined(section); c.sections[section] {
			errs = append(errs, check())
		}
	}
	return c, errors.Join(errs...)
}
