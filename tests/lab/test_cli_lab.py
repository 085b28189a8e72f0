"""``gitops-dr lab``: what goes to stdout, and what is passed on."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gitops_dr import lab as labs
from gitops_dr.cli.lab import app
from gitops_dr.lab import Lab

SHOP = Lab("shop", Path("/labs/shop"), Path("/labs/shop/storage"), "https://127.0.0.1:1", "")


@pytest.fixture
def calls(monkeypatch):
    made = []

    def answer(name, value):
        def call(*args, emit=None, **options):
            made.append((name, args, options))
            return value

        monkeypatch.setattr(labs, name, call)

    for name, value in (
        ("up", SHOP),
        ("down", None),
        ("labs", (SHOP,)),
        ("kubeconfig", SHOP.kubeconfig),
        ("volume", Path("/labs/shop/storage/volumes/pvc-1")),
        ("save", None),
    ):
        answer(name, value)
    return made


@pytest.mark.parametrize(
    ("line", "call", "output"),
    [
        (
            "up shop",
            ("up", ("shop",), {"storage": None, "saved": None}),
            "/labs/shop/kubeconfig\n",
        ),
        (
            "up shop --storage /backend --from /saved.tar",
            ("up", ("shop",), {"storage": Path("/backend"), "saved": Path("/saved.tar")}),
            "/labs/shop/kubeconfig\n",
        ),
        ("down shop", ("down", ("shop",), {}), ""),
        ("list", ("labs", (), {}), "shop\thttps://127.0.0.1:1\n"),
        ("kubeconfig shop", ("kubeconfig", ("shop",), {}), "/labs/shop/kubeconfig\n"),
        (
            "volume shop web/data",
            ("volume", ("shop", "web", "data"), {}),
            "/labs/shop/storage/volumes/pvc-1\n",
        ),
        ("save shop /saved.tar", ("save", ("shop", Path("/saved.tar")), {}), ""),
    ],
)
def test_a_line_is_one_call(calls, line, call, output):
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0
    assert result.stdout == output
    assert calls == [call]
