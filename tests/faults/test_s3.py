"""The workflow with its results in an object store that runs here; needs the extras s3 and moto: -m s3."""

import hashlib
import importlib

import pytest
from tiny_study import DIFFERS, snakemake, with_tiny_studies

pytestmark = pytest.mark.s3
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def store(monkeypatch):
    """A bucket `lab` of a server of our own; return its address and a client of it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = importlib.import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    client = importlib.import_module("boto3").client("s3", endpoint_url=address)
    client.create_bucket(Bucket="lab")
    yield address, client
    server.stop()


def stored(client):
    """The digest of every file in the bucket that must be the same, by its place."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="lab", Prefix="heads/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    kept = [key for key in keys if not key.endswith(DIFFERS)]
    read = {key: client.get_object(Bucket="lab", Key=key)["Body"].read() for key in kept}
    return {key.removeprefix("heads/"): hashlib.sha256(content).hexdigest() for key, content in read.items()}


def test_a_study_in_an_object_store_has_the_same_bytes(tmp_path, store, expected):
    address, client = store
    folder = with_tiny_studies(tmp_path)
    where = ["--default-storage-provider", "s3", "--default-storage-prefix", "s3://lab/heads"]
    asked = [*where, "--storage-s3-endpoint-url", address, "--config", "study=tiny"]
    finished = snakemake(folder, *asked)
    assert finished.returncode == 0, finished.stderr
    kept = {name: digest for name, digest in expected.items() if not name.startswith("results/store/frozen/")}
    found = stored(client)
    assert found == {name: kept.get(name) for name in found}
    assert {name for name in kept if "/." not in name} == set(found)
    assert not list(folder.glob("results/studies/*"))
    again = snakemake(folder, *asked)
    assert "Nothing to be done" in again.stderr, again.stderr
