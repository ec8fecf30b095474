package red_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/red"
)

// TestNothingShows prints red values in every way that a careless line could.
func TestNothingShows(t *testing.T) {
	secret := struct {
		Plate red.Text
		Lat   red.Degrees
		Ptr   *red.Text
	}{Plate: "WDB-QX4711", Lat: 447.1125} // no time and no address looks like these
	secret.Ptr = &secret.Plate

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%f", "%g", "%8.3f", "%t", "%08b"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", secret.Plate, secret.Lat)
		fmt.Fprintf(&out, verb+"\n", secret)
	}
	fmt.Fprintln(&out, secret.Plate, secret.Lat, secret, errors.New(secret.Plate.String()))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("careless", "plate", secret.Plate, "lat", secret.Lat, "all", secret)
	}
	js, err := json.Marshal(secret)
	require.NoError(t, err)
	out.Write(js)

	require.NotContains(t, out.String(), "QX4711")
	require.NotContains(t, out.String(), "447.1")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "WDB-QX4711"))
	require.Contains(t, out.String(), red.Mark)
	require.Equal(t, "WDB-QX4711", secret.Plate.Reveal())
	require.InDelta(t, 447.1125, secret.Lat.Reveal(), 0)
}
