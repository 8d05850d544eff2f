"""Settings from flags and environment, and the processors a control group grants."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import SettingsError
from service.runtime.process import Threads, cpu_quota
from service.settings import Settings
from service.settings_sources import flag, variable


def test_the_defaults_listen_on_the_own_machine_only() -> None:
    settings = Settings.load([], {})
    assert (settings.host, settings.port, settings.models) == ("127.0.0.1", 8000, Path("models"))
    assert (settings.max_bytes, settings.max_pixels, settings.cors_origins) == (
        20_000_000,
        50_000_000,
        (),
    )


def test_a_variable_sets_a_field() -> None:
    settings = Settings.load([], {"FOVEA_PORT": "9000", "FOVEA_DEVICE": "cpu", "PATH": "/bin"})
    assert (settings.port, settings.device) == (9000, "cpu")


def test_a_flag_beats_the_environment() -> None:
    assert Settings.load(["--max-bytes", "7"], {"FOVEA_MAX_BYTES": "9"}).max_bytes == 7
    assert Settings.load(["--max-bytes=7"], {}).max_bytes == 7


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.load([], {"FOVEA_THREADS": "", "FOVEA_PORT": ""}) == Settings()


def test_the_process_environment_is_read_by_load_and_by_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOVEA_PORT", "9001")
    assert Settings.load().port == 9001
    assert Settings().port == 8000


def test_cors_origins_are_separated_by_commas() -> None:
    settings = Settings.load([], {"FOVEA_CORS_ORIGINS": "https://a.example, http://localhost:3000"})
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize("name", ["FOVEA_MAX_BITES", "fovea_max_bites", "FOVEA_MAXBYTES"])
def test_an_unknown_variable_is_an_error_that_names_the_nearest(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"unknown variable {name}; .*FOVEA_MAX_BYTES$"):
        Settings.load([], {name: "1"})


@pytest.mark.parametrize("argv", [["--max-bites", "1"], ["--max-bites=1"], ["--max-byte", "1"]])
def test_an_unknown_flag_is_an_error_that_names_the_nearest(argv: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"unknown flag --max-b\w+; .*--max-bytes$"):
        Settings.load(argv, {})


def test_a_flag_without_its_value_is_an_error() -> None:
    with pytest.raises(SettingsError, match="--port"):
        Settings.load(["--port"], {})


@pytest.mark.parametrize(
    ("argv", "environ", "name"),
    [
        ([], {"FOVEA_PORT": "many"}, "FOVEA_PORT is 'many'"),
        (["--port", "70000"], {}, "--port is '70000'"),
        ([], {"FOVEA_DEVICE": "tpu"}, "FOVEA_DEVICE is 'tpu'.*'auto', 'cpu' or 'cuda'"),
        ([], {"FOVEA_THREADS": "0"}, "FOVEA_THREADS is '0'"),
        ([], {"FOVEA_THREADS": "1000000000000"}, "FOVEA_THREADS is '1000000000000'"),
        (
            [],
            {"FOVEA_MODEL_CONTROL": "push"},
            "FOVEA_MODEL_CONTROL is 'push'.*'none', 'poll' or 'explicit'",
        ),
        ([], {"FOVEA_POLL_SECONDS": "0"}, "FOVEA_POLL_SECONDS is '0'"),
        (
            ["--load-models", "photos"],
            {"FOVEA_MODEL_CONTROL": "poll"},
            "--load-models is .*=explicit",
        ),
        (
            [],
            {"FOVEA_MODEL_CONTROL": "explicit", "FOVEA_WORKERS": "2"},
            "FOVEA_WORKERS is '2': .*one worker only",
        ),
    ],
)
def test_an_impossible_value_is_named_with_where_it_came_from(
    argv: list[str], environ: dict[str, str], name: str
) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.load(argv, environ)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


def test_help_prints_every_flag_with_its_variable_and_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        Settings.load(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    for name, field in Settings.model_fields.items():
        assert flag(name) in text
        assert f"[{variable(name)}, default: " in text.replace("- ", "-")
        assert field.description


def test_models_to_load_at_start_up_are_separated_by_commas() -> None:
    settings = Settings.load(
        [], {"FOVEA_MODEL_CONTROL": "explicit", "FOVEA_LOAD_MODELS": "photos, digits"}
    )
    assert settings.load_models == ("photos", "digits")


def test_threads_are_as_set_or_a_share_of_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Threads.share(1, None, None).alone == cpu_quota()
    monkeypatch.setattr("service.runtime.process.cpu_quota", lambda: 12)
    threads = {
        (1, None, None): (12, 1),
        (1, 2, None): (12, 6),
        (3, 2, None): (4, 2),
        (1, 10_000, None): (12, 1),
        (10_000, None, None): (1, 1),
        (1, 2, 5): (5, 5),
    }
    for (workers, instances, threads_set), expected in threads.items():
        shared = Threads.share(workers, instances, threads_set)
        assert (shared.alone, shared.contended) == expected


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/host/path\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            64,
        ),
    ],
    ids=[
        "no cgroup",
        "v2 unlimited",
        "v2",
        "v2 half",
        "v2 ancestor",
        "v2 in a container",
        "v1",
        "v1 unlimited",
    ],
)
def test_the_quota_is_that_of_the_control_group(
    tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert cpu_quota(_tree(tmp_path, files)) == expected


def test_the_affinity_binds_where_it_is_less_than_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3})
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000\n"}
    assert cpu_quota(_tree(tmp_path, files)) == 2
