"""Delivery of alerts to receivers: webhooks, Alertmanager, syslog. Each receiver goes at its own pace."""
