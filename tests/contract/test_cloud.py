"""What `anfinsen cloud plan` says adds up, and what it prints is what the cloud takes: tested against moto."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from anfinsen.cli import app
from anfinsen.distributed.cloud import LOST, RECOLLECTION, START, Work, plan, read_prices
from anfinsen.errors import UnknownNameError, UsageError

AWS = Path(__file__).parents[2] / "recipes" / "aws"
WORK = Work("embed", 2e10, 2_666_496, "s3://bucket/proteins.fasta", "s3://bucket/out")


def test_cost_and_time_are_the_sum_of_their_parts() -> None:
    prices = read_prices()
    made = plan(WORK, "g5.xlarge", 4, prices, rate=1e5)
    seconds = 2e10 / 1e5 / 4 * (1 + LOST) + START
    assert made.hours == pytest.approx(seconds / 3600)
    kind = prices.machine("g5.xlarge")
    states = 2e10 / 330 * 192 * 2 / 1e9  # GB: 192 numbers of two bytes for a protein of 330 residues
    rent = made.hours * 4 * kind.hour * kind.spot
    assert made.dollars == pytest.approx(rent + states * prices.storage + 4 * prices.requests, rel=1e-3)
    assert plan(WORK, "g5.xlarge", 4, prices, rate=1e5, spot=False).dollars > made.dollars
    assert "as measured" in made.sentences[1]
    assert "not measured" in plan(WORK, "g5.xlarge", 4, prices).sentences[1]


def test_a_table_of_one_s_own_takes_the_place_of_the_package_s(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        'region = "here"\nstorage = 0.0\nrequests = 0.0\n[machines.mine]\nhour = 2.0\nspot = 1.0\ncores = 4\n'
        'memory_gb = 8\naccelerators = 0\ngflops = 100\nas_of = "2026-11"\n'
    )
    asked = ["cloud", "plan", "embed", "s3://b/x.fasta", "--prices", str(own), "--machine", "mine", "--rate", "1000"]
    shown = CliRunner().invoke(app, [*asked, "--residues", "3600000", "--no-spot"])
    assert shown.exit_code == 0
    assert "about 64 minutes and 2.13 dollars in here" in shown.stdout.replace("\n", " ")


def test_each_price_says_where_it_is_from_and_which_was_only_remembered() -> None:
    prices = read_prices()
    for name, kind in prices.machines.items():
        assert re.fullmatch(r"20\d\d-\d\d", kind.as_of), name
        assert kind.source == RECOLLECTION or kind.source.startswith("https://"), name
        said = " ".join(plan(WORK, name, 1, prices).sentences)
        assert ("not looked up" in said) == (kind.source == RECOLLECTION), name
    assert prices.machine("g5.xlarge").source != RECOLLECTION


def test_what_cannot_be_planned_is_said() -> None:
    with pytest.raises(UnknownNameError, match="There is no machine in the table of prices called 'c7i'"):
        plan(WORK, "c7i", 1, read_prices())
    with pytest.raises(UsageError, match="waits for its own exchanges"):
        plan(Work("train", 1e9, 1e6, "masked", "s3://b/out"), "c7i.4xlarge", 2, read_prices())


def test_rights_are_the_least_that_a_job_needs() -> None:
    statements = json.loads((AWS / "policy.json").read_text())["Statement"]
    actions = {
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
    assert not [action for action in actions if "*" in action]
    assert not [one for one in statements if one["Effect"] != "Allow" or one["Resource"] in ("*", "arn:aws:s3:::*")]
    writes = [one for one in statements if "s3:PutObject" in one["Action"]]
    assert [one["Resource"] for one in writes] == ["arn:aws:s3:::YOUR-BUCKET/out/*"]


def test_the_cluster_file_is_what_ray_expects() -> None:
    cluster = yaml.safe_load((AWS / "ray-cluster.yaml").read_text())
    assert cluster["head_node_type"] in cluster["available_node_types"]
    worker = cluster["available_node_types"]["worker"]["node_config"]
    assert worker["InstanceMarketOptions"] == {"MarketType": "spot"}
    kind = read_prices().machine(worker["InstanceType"])
    assert cluster["available_node_types"]["worker"]["resources"] == {"CPU": kind.cores}


def test_the_cluster_file_holds_by_ray_s_own_schema() -> None:
    """What `ray up` checks before it starts a machine, with the defaults that it fills in."""
    pytest.importorskip("ray", reason="Ray is not installed, so its schema was not asked: pip install 'anfinsen[ray]'")
    pytest.importorskip("jsonschema", reason="jsonschema is not installed, so Ray's schema was not asked")
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(yaml.safe_load((AWS / "ray-cluster.yaml").read_text())))


def test_a_part_of_an_array_is_asked_for_with_words_that_the_verb_knows(tmp_path: Path) -> None:
    said = tmp_path / "anfinsen"
    said.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    said.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "AWS_BATCH_JOB_ARRAY_INDEX": "3"}
    for verb in ("embed", "predict"):
        ended = subprocess.run(
            [AWS / "batch-part", verb, "s3://b/x.fasta", "s3://b/out", "16"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        words = ended.stdout.split()
        assert words[:4] == [verb, "s3://b/x.fasta", "--part", "3/16"]
        flags = CliRunner().invoke(app, [verb, "--help"], terminal_width=200).stdout
        assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z]+", flags))


@pytest.mark.distributed
def test_the_printed_commands_are_taken_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    register, submit, _ = plan(WORK, "g5.xlarge", 8, read_prices()).commands
    assert shlex.split(register)[-1] == "file://recipes/aws/batch-job.json"
    words = dict(zip(*[iter(shlex.split(submit)[3:])] * 2, strict=True))
    with moto.mock_aws(config={"batch": {"use_docker": False}}):
        batch, iam = (boto3.client(name, "us-east-1") for name in ("batch", "iam"))
        role = iam.create_role(RoleName="anfinsen", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        environment = batch.create_compute_environment(
            computeEnvironmentName="anfinsen", type="UNMANAGED", state="ENABLED", serviceRole=role
        )["computeEnvironmentArn"]
        order = [{"order": 0, "computeEnvironment": environment}]
        batch.create_job_queue(jobQueueName="anfinsen", state="ENABLED", priority=1, computeEnvironmentOrder=order)
        batch.register_job_definition(**json.loads((AWS / "batch-job.json").read_text()))
        size = int(words["--array-properties"].removeprefix("size="))
        parameters = dict(one.split("=", 1) for one in words["--parameters"].split(","))
        job = batch.submit_job(
            jobName=words["--job-name"],
            jobQueue=words["--job-queue"],
            jobDefinition=words["--job-definition"],
            arrayProperties={"size": size},
            parameters=parameters,
        )
        (found,) = batch.describe_jobs(jobs=[job["jobId"]])["jobs"]
    assert found["arrayProperties"]["size"] == 8
    assert parameters == {"verb": "embed", "source": WORK.source, "out": WORK.out, "parts": "8"}


@pytest.mark.distributed
def test_the_rights_are_enough_for_a_part_of_a_job_and_for_nothing_else(
    tmp_path: Path, body: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of this machine that asks for rights; the part is `batch-part`, which runs the real command."""
    pytest.importorskip("moto", reason="moto is not installed, so rights were not tried: pip install 'moto[s3,server]'")
    import boto3
    import httpx2
    from botocore.exceptions import ClientError
    from moto import settings
    from moto.server import ThreadedMotoServer

    # a request below changes this for the whole process; what it was stands again after the test
    monkeypatch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", settings.INITIAL_NO_AUTH_ACTION_COUNT)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "root")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        s3, iam = (boto3.client(name, endpoint_url=address) for name in ("s3", "iam"))
        for bucket in ("bucket", "other"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(
            Bucket="bucket", Key="proteins.fasta", Body=b">p1\nMKTAYIAKQR\n>p2\nMSTNPKPQRK\n>p3\nMAGWNAYIDN\n"
        )
        iam.create_user(UserName="job")
        policy = (AWS / "policy.json").read_text().replace("YOUR-BUCKET", "bucket")
        iam.put_user_policy(UserName="job", PolicyName="anfinsen", PolicyDocument=policy)
        key = iam.create_access_key(UserName="job")["AccessKey"]
        httpx2.post(f"{address}/moto-api/reset-auth", content=b"0")  # from here on everybody is asked

        own = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        own |= {
            "AWS_ENDPOINT_URL": address,
            "AWS_BATCH_JOB_ARRAY_INDEX": "1",
            "ANFINSEN_CACHE": str(tmp_path / "cache"),
        }
        command = tmp_path / "anfinsen"
        command.write_text(
            f"""#!/bin/sh\nexec {sys.executable} -c 'from anfinsen.cli import main; main()' "$@" --bundle {body}\n"""
        )
        command.chmod(0o755)
        ended = subprocess.run(
            [AWS / "batch-part", "embed", "s3://bucket/proteins.fasta", "s3://bucket/out", "2"],
            env={**os.environ, **own, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        job = boto3.client("s3", endpoint_url=address, **keys)
        listed = job.list_objects_v2(Bucket="bucket", Prefix="out/")["Contents"]  # what `aws s3 ls` asks
        assert [one["Key"] for one in listed] == ["out/part-00001/refused.csv", "out/part-00001/states.parquet"]
        for refused in (
            lambda: job.put_object(Bucket="bucket", Key="proteins.fasta", Body=b"x"),
            lambda: job.delete_object(Bucket="bucket", Key="proteins.fasta"),
            lambda: job.get_object(Bucket="other", Key="x"),
            lambda: job.list_objects_v2(Bucket="other"),
            lambda: job.delete_bucket(Bucket="bucket"),
        ):
            with pytest.raises(ClientError, match=r"AccessDenied|Forbidden"):
                refused()
    finally:
        server.stop()
