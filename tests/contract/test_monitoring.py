"""Prometheus and Grafana beside the service: what can be shown of them without a Docker engine."""

from typing import Any

import yaml

from tests.contract.test_deployment import ROOT, compose, needs_tools

FILES = ("-f", "docker-compose.yml", "-f", "deploy/monitoring.yml")


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / "deploy" / path).read_text())


@needs_tools
def test_they_are_pinned_and_reached_from_this_machine_only() -> None:
    services = compose("--profile", "cpu", *FILES)
    assert set(services) == {"fovea", "prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        assert services[name]["image"].rpartition(":")[2][-1].isdigit()
        assert [port["host_ip"] for port in services[name]["ports"]] == ["127.0.0.1"]
        assert services[name]["cap_drop"] == ["ALL"]


@needs_tools
def test_every_file_that_they_are_given_is_there() -> None:
    services = compose("--profile", "cpu", *FILES)
    mounted = {
        volume["target"]: volume["source"]
        for name in ("prometheus", "grafana")
        for volume in services[name]["volumes"]
        if volume["type"] == "bind"
    }
    assert mounted == {
        "/etc/prometheus": str(ROOT / "deploy/prometheus"),
        "/etc/grafana/provisioning": str(ROOT / "deploy/grafana/provisioning"),
        "/var/lib/grafana/dashboards": str(ROOT / "deploy/grafana/dashboards"),
    }
    [provider] = read("grafana/provisioning/dashboards/fovea.yml")["providers"]
    assert provider["options"]["path"] in mounted
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folder, _, name = home.rpartition("/")
    assert (ROOT / "deploy/grafana/dashboards" / name).is_file()
    assert folder == provider["options"]["path"]


def test_prometheus_scrapes_the_services_of_the_compose_file_and_reads_the_rules() -> None:
    config = read("prometheus/prometheus.yml")
    [job] = config["scrape_configs"]
    [names] = job["dns_sd_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert set(names["names"]) == set(services)
    assert all(service["ports"][0].endswith(f":{names['port']}") for service in services.values())
    assert all((ROOT / "deploy/prometheus" / file).is_file() for file in config["rule_files"])
    assert job["job_name"] == "fovea"


def test_grafana_asks_the_prometheus_beside_it() -> None:
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert (
        source["jsonData"]["timeInterval"]
        == read("prometheus/prometheus.yml")["global"]["scrape_interval"]
    )
