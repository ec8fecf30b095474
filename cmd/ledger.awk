# Sums the symbols of a Go program, as "go tool nm -size" prints them, by origin.
# Zeroed memory (types B, b, and a buffer of crypto/internal/fips140 that is
# listed with the data) takes no place in the file.
$3 ~ /^[TtRrDd]$/ && $2 < 10000000 {
	n = $4
	sub(/^type:\.?(eq|hash|\*)?\.?/, "", n)
	if (n ~ /^roadseal\/(firmware|agent\/downlink|crypto\/signed|crypto\/internal\/canon)/) k = "roadseal, what comes down"
	else if (n ~ /^roadseal\/crypto/) k = "roadseal/crypto, all else"
	else if (n ~ /^roadseal/) k = "roadseal, all else"
	else if (n ~ /cloudflare\/circl/) k = "circl"
	else if (n ~ /eclipse|gorilla|golang.org\/x\/net/) k = "paho with its proxy code"
	else if (n ~ /pelletier/) k = "go-toml"
	else if (n ~ /spf13|^text\/template/) k = "cobra and pflag"
	else if (n ~ /bug.st/) k = "go.bug.st/serial"
	else if (n ~ /^(vendor\/)?(crypto|golang.org\/x\/crypto|hash)/) k = "standard library: crypto, TLS, X.509"
	else if (n ~ /^(vendor\/golang.org\/x\/(net|text)|net|mime|compress)/) k = "standard library: net, HTTP (linked by paho)"
	else if (n ~ /^encoding/) k = "standard library: encoding"
	else if (n ~ /^runtime|^internal|^go:|^gc|^type|^reflect/) k = "runtime, types, tables"
	else k = "standard library, all else"
	s[k] += $2
}
END {
	for (k in s) sum += s[k]
	printf "%d\t%s\n", sum, "sum; the rest of the file is the runtime's table of functions and lines"
	for (k in s) printf "%d\t%s\n", s[k], k
}
