// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// connection holds the options that say which cloud is called, and as whom.
type connection struct{ profile, endpoint string }

func (c *connection) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.profile, "profile", "", "profile of the AWS configuration files to use")
	flags.StringVar(&c.endpoint, "endpoint-url", "", "URL of the CLC, https://HOST:8773")
}

const connectionHelp = `Which cloud is called, and as whom, is taken as the aws command takes it. The first
that is set counts:
  URL of the CLC   --endpoint-url, MALLEE_ENDPOINT, AWS_ENDPOINT_URL_EC2,
                   AWS_ENDPOINT_URL, endpoint_url in the profile: of ec2 in the
                   section of its services, else its own
  keys             the profile that --profile names; AWS_ACCESS_KEY_ID and
                   AWS_SECRET_ACCESS_KEY; the profile that AWS_PROFILE names,
                   "default" if it names none
  region           AWS_REGION, AWS_DEFAULT_REGION, region in the profile; any will do
  authority        AWS_CA_BUNDLE, ca_bundle in the profile, those of the system:
                   file with the certificates that vouch for the CLC
Profiles are in ~/.aws/config and ~/.aws/credentials, or where AWS_CONFIG_FILE and
AWS_SHARED_CREDENTIALS_FILE say. The CLC writes the variables for its admin:
  ` + sourceEnvironment

// connect returns the cloud that options, environment and profile name. Nothing is
// sent yet.
func (t *tool) connect() (cloud, error) {
	c, err := t.config()
	if err != nil {
		return cloud{}, &mallee.Error{Op: "reach the cloud", Kind: mallee.Invalid, Err: err}
	}
	var missing []string
	for _, value := range []struct{ value, name string }{
		{c.Endpoint, "the URL of the CLC (MALLEE_ENDPOINT)"},
		{c.AccessKey, "an access key (AWS_ACCESS_KEY_ID)"},
		{c.SecretKey, "its secret key (AWS_SECRET_ACCESS_KEY)"},
	} {
		if value.value == "" {
			missing = append(missing, value.name)
		}
	}
	if len(missing) > 0 {
		return cloud{}, &mallee.Error{
			Op: "reach the cloud", Kind: mallee.Invalid,
			Err:  errors.New(strings.Join(missing, ", ") + " not known, neither from the environment nor from a profile"),
			Hint: "on the machine of the CLC: " + sourceEnvironment + "; elsewhere: aws configure, then aws configure set endpoint_url URL",
		}
	}
	t.clc = c.Endpoint
	connected, err := t.dial(c)
	if err != nil { // nobody was called; a value is wrong
		return cloud{}, &mallee.Error{Op: "reach the cloud", Kind: mallee.Invalid, Err: err}
	}
	return connected, nil
}

// config puts together what options, environment and profile say.
func (t *tool) config() (client.Config, error) {
	profile, err := t.loadProfile()
	if err != nil {
		return client.Config{}, err
	}
	c := client.Config{
		Endpoint: cmp.Or(
			t.connection.endpoint, t.getenv("MALLEE_ENDPOINT"), t.getenv("AWS_ENDPOINT_URL_EC2"), t.getenv("AWS_ENDPOINT_URL"),
			// Scripts of the original name the one service only.
			strings.TrimSuffix(t.getenv("EUCA_PROPERTIES_URL"), "/services/Properties"),
			profile.endpoint,
		),
		AccessKey: t.getenv("AWS_ACCESS_KEY_ID"),
		SecretKey: t.getenv("AWS_SECRET_ACCESS_KEY"),
		Region:    cmp.Or(t.getenv("AWS_REGION"), t.getenv("AWS_DEFAULT_REGION"), profile.region),
		CAFile:    cmp.Or(t.getenv("AWS_CA_BUNDLE"), profile.caFile),
	}
	// A pair is of one source: a key of here with a secret of there is nobody's.
	if t.connection.profile == "" && (c.AccessKey != "" || c.SecretKey != "") {
		return c, nil
	}
	c.AccessKey, c.SecretKey = profile.accessKey, profile.secretKey
	return c, profile.needs
}
