package soak

import (
	"cmp"
	"context"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/broker/mosquitto"
)

// startMosquitto starts it and waits until it listens.
func (h *hub) startMosquitto(ctx context.Context) error {
	program, err := mosquitto.Find("mosquitto")
	if err != nil {
		return err
	}
	if h.broker == "" {
		c := h.w.certs
		h.conf, h.broker, err = mosquitto.Write(h.w.path("work"), mosquitto.Options{CA: c.CA, Certificate: c.Broker.Certificate, Key: c.Broker.Key, Collector: pki.CollectorName})
		if err != nil {
			return err
		}
	}
	if err := h.launch(brokerName, program, "-c", h.conf); err != nil {
		return err
	}
	p := h.running[brokerName]
	if !mosquitto.Await(ctx, h.broker, p.Ended()) {
		return cmp.Or(ctx.Err(), p.Failure())
	}
	return nil
}
