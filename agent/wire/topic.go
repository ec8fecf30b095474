package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

const (
	upPrefix   = "v1/up/"
	downPrefix = "v1/down/"
)

// CheckDevice reports whether s is a device id: 128 bits as 22 characters of
// base64url without padding (RFC 4648 section 5). It is the common name of the
// vehicle's certificate and its MQTT client id, and never a vehicle number.
func CheckDevice(s string) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 16 || len(s) != 22 {
		return errors.New("not a device id: expected 128 random bits as 22 characters of base64url")
	}
	return nil
}

// Shard is the first two hexadecimal digits of SHA-256 of the device id. Each
// collector owns a list of shards.
func Shard(device string) string {
	h := sha256.Sum256([]byte(device))
	return hex.EncodeToString(h[:1])
}

// UpTopic is where a vehicle publishes.
func UpTopic(device string) string { return upPrefix + Shard(device) + "/" + device }

// DownTopic is what a vehicle subscribes to.
func DownTopic(device string) string { return downPrefix + device }

// UpFilter is what the collector of a shard subscribes to.
func UpFilter(shard string) string { return upPrefix + shard + "/+" }

// DeviceOf takes an up topic apart. It reports false for any other topic and
// for a name that is no device id. Whether the shard is the device's own is for
// the caller to check.
func DeviceOf(topic string) (shard, device string, ok bool) {
	rest, up := strings.CutPrefix(topic, upPrefix)
	shard, device, two := strings.Cut(rest, "/")
	raw, err := hex.DecodeString(shard)
	if !up || !two || err != nil || len(raw) != 1 || hex.EncodeToString(raw) != shard || CheckDevice(device) != nil {
		return "", "", false
	}
	return shard, device, true
}
