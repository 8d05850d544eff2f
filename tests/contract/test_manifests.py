"""The manifests for Kubernetes and KServe: valid by Kubernetes' own schemas, and true of this
service and its image.
"""

import copy
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.service.serving import serving

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
KSERVE = ROOT / "deploy/kserve/inference-service.yaml"
SCHEMA = Path(__file__).with_name("inference-service.schema.json")
# The oldest that has all of these kinds, and the newest whose schemas there are.
VERSIONS = ("1.25", kubernetes_validate.latest_version())

# Of KServe's predictor, what is not a PodSpec.
EXTENSIONS = frozenset(
    "minReplicas maxReplicas scaleTarget scaleMetric containerConcurrency timeout "
    "canaryTrafficPercent labels "
    "annotations".split()
)

Manifest = dict[str, Any]


def read(path: Path) -> Manifest:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


def resources() -> list[str]:
    return list(read(KUBERNETES / "kustomization.yaml")["resources"])


def of_kind(kind: str) -> Manifest:
    [found] = [
        manifest
        for manifest in (read(KUBERNETES / name) for name in resources())
        if manifest["kind"] == kind
    ]
    return found


def pod_of_kserve(manifest: Manifest) -> Manifest:
    """The pod that KServe makes of its custom predictor."""
    predictor = manifest["spec"]["predictor"]
    spec = {name: value for name, value in predictor.items() if name not in EXTENSIONS}
    metadata = {"name": "predictor", "annotations": predictor.get("annotations", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pods() -> dict[str, Manifest]:
    """Each pod that the manifests describe, with metadata and spec."""
    return {
        "kubernetes": of_kind("Deployment")["spec"]["template"],
        "kserve": pod_of_kserve(read(KSERVE)),
    }


@pytest.fixture(params=["kubernetes", "kserve"])
def pod(request: pytest.FixtureRequest) -> Manifest:
    return pods()[request.param]


def environment(container: Manifest) -> dict[str, str]:
    """The variables of the image, and over them those of the manifest."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2])
    lines = re.findall(r"^ENV (.+)$", text, re.MULTILINE)
    image = dict(pair.split("=", 1) for line in lines for pair in shlex.split(line))
    return image | {each["name"]: each["value"] for each in container["env"]}


def settings_of(pod: Manifest) -> Settings:
    return Settings.load(environ=environment(pod["spec"]["containers"][0]))


def size(text: str) -> int:
    return int(text[:-2]) * {"Mi": 2**20, "Gi": 2**30}[text[-2:]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", resources())
def test_a_manifest_is_valid_by_the_schemas_of_kubernetes(name: str, version: str) -> None:
    kubernetes_validate.validate(read(KUBERNETES / name), version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pod_of_the_inference_service_is_valid_by_the_schemas_of_kubernetes(
    version: str,
) -> None:
    kubernetes_validate.validate(pod_of_kserve(read(KSERVE)), version, strict=True)


def test_the_inference_service_is_valid_by_what_kserve_takes() -> None:
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(read(KSERVE))


def broken(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest with one thing wrong at a time, which a cluster would refuse or silently
    drop.
    """
    for path, value in (
        (("spec", "predictor", "containers", 0, "name"), "fovea"),
        (("spec", "predictor", "containers", 0, "env", 0, "value"), "v3"),
        (("spec", "predictor", "minReplicas"), -1),
        (("spec", "predictor", "scaleMetric"), "gpu"),
        (("metadata", "annotations", "serving.kserve.io/deploymentMode"), "Raw"),
        (("metadata", "name"), "Fovea"),
        (("spec", "predicter"), {}),
    ):
        changed = copy.deepcopy(manifest)
        place: Any = changed
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = value
        yield changed


def test_the_schemas_see_what_is_wrong() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for changed in broken(read(KSERVE)):
        assert not validator.is_valid(changed)
    pod = pod_of_kserve(
        read(KSERVE)
        | {"spec": {"predictor": read(KSERVE)["spec"]["predictor"] | {"maxReplica": 4}}}
    )
    with pytest.raises(kubernetes_validate.ValidationError, match="maxReplica"):
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def test_every_file_is_in_the_kustomization_and_names_no_image_that_is_latest() -> None:
    files = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(resources())
    for path in (*KUBERNETES.iterdir(), KSERVE):
        assert "latest" not in path.read_text()


def test_the_image_is_the_one_that_compose_builds(pod: Manifest) -> None:
    built = read(ROOT / "docker-compose.yml")["services"]["fovea"]["image"]
    assert pod["spec"]["containers"][0]["image"] == built
    [image] = read(KUBERNETES / "kustomization.yaml")["images"]
    assert f"{image['newName']}:{image['newTag']}" == built


def test_every_setting_is_one_that_the_service_knows_and_takes(pod: Manifest) -> None:
    assert settings_of(pod).host == "0.0.0.0"
    assert any(each["name"].startswith("FOVEA_") for each in pod["spec"]["containers"][0]["env"])


def test_variables_of_services_are_kept_out_since_they_would_look_like_settings(
    pod: Manifest,
) -> None:
    assert pod["spec"]["enableServiceLinks"] is False


def test_the_port_is_the_one_that_the_service_listens_on_everywhere(pod: Manifest) -> None:
    container = pod["spec"]["containers"][0]
    [port] = container["ports"]
    assert port["containerPort"] == settings_of(pod).port
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in (port["name"], port["containerPort"])


def test_probes_and_scrapes_ask_routes_that_there_are(pod: Manifest, tmp_path: Path) -> None:
    container = pod["spec"]["containers"][0]
    probed = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")
    }
    ready = container["readinessProbe"]["httpGet"]["path"]
    scraped = pod["metadata"]["annotations"]["prometheus.io/path"]
    settings = Settings(models=tmp_path / "none", device="cpu", input_store=tmp_path / "inputs")
    with serving(settings) as client:
        assert {
            path: client.get(path).status_code for path in (*probed.values(), scraped)
        } == dict.fromkeys((*probed.values(), scraped), 200)
        # Without a model the process is alive and gets no requests.
        assert client.get(ready).status_code in (400, 503)


def test_a_pod_may_drain_before_it_is_killed(pod: Manifest) -> None:
    [word, pause] = pod["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert word == "sleep"
    closing = 2
    needed = int(pause) + settings_of(pod).shutdown_seconds + closing
    assert pod["spec"]["terminationGracePeriodSeconds"] >= needed


def test_a_container_is_the_images_user_and_writes_to_tmp_only(pod: Manifest) -> None:
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    found = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    context = spec["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(found[1]), int(found[2]))
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"/tmp"}


def test_the_store_of_pictures_fits_into_the_volume_that_it_is_on(pod: Manifest) -> None:
    settings = settings_of(pod)
    mounts = {
        each["mountPath"]: each["name"] for each in pod["spec"]["containers"][0]["volumeMounts"]
    }
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    assert set(mounts.values()) == set(volumes)
    assert settings.input_store.is_relative_to("/tmp")
    assert settings.input_store_bytes < size(volumes[mounts["/tmp"]]["emptyDir"]["sizeLimit"])


def test_the_models_are_those_of_the_image_or_of_a_volume_that_is_watched() -> None:
    kubernetes, kserve = (settings_of(each) for each in pods().values())
    assert f" {kubernetes.models}\n" in (ROOT / "Dockerfile").read_text()
    assert kubernetes.model_control == "none"
    mount = next(
        m
        for m in pods()["kserve"]["spec"]["containers"][0]["volumeMounts"]
        if m["name"] == "models"
    )
    assert str(kserve.models) == mount["mountPath"]
    assert kserve.model_control == "poll"


def test_what_belongs_to_the_deployment_finds_its_pods() -> None:
    deployment, service = of_kind("Deployment"), of_kind("Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    target = of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    # With a number here, every apply would undo what the autoscaler did.
    assert "replicas" not in deployment["spec"]
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in [
        each["name"] for each in pods()["kubernetes"]["spec"]["containers"][0]["ports"]
    ]


def test_the_processors_that_are_shared_out_are_limited(pod: Manifest) -> None:
    resources = pod["spec"]["containers"][0]["resources"]
    assert set(resources["limits"]) == set(resources["requests"]) == {"cpu", "memory"}
    assert size(resources["requests"]["memory"]) <= size(resources["limits"]["memory"])
