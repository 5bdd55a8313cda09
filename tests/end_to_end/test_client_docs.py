"""Every Python example of docs/clients.md runs against the whole system; only names and pins of the example are replaced."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.pki import PkiFiles, ensure_pki, load_authority
from tests.clients.documented import PAGE, examples
from tests.end_to_end.system import System
from viworks.transport.pins import pin_of

CLIENT = "laptop-8"


def files(system: System, directory: Path) -> PkiFiles:
    """What the examples find beside them: the authority and a certificate of the client's own."""
    pki = ensure_pki(system.data_dir)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = load_authority(pki).issue_client(CLIENT, key.public_key(), datetime.datetime.now(datetime.UTC))
    (directory / "ca.pem").write_bytes(pki.ca_cert.read_bytes())
    (directory / "client.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    (directory / "client-tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pki


def here(program: str, system: System, pki: PkiFiles) -> str:
    """The program for this system: its ports, and the pin of its server."""
    port = urlsplit(system.run["edge_tls"]).port
    pin = pin_of(x509.load_pem_x509_certificate(pki.server_cert.read_bytes()).public_bytes(Encoding.DER))
    program = program.replace("https://ingest.example:8443", f"https://localhost:{port}")
    return re.sub(r"pin-sha256=\"A+=\"", f'pin-sha256="{pin}"', program).replace("http://127.0.0.1:8080", system.run["edge"])


def test_there_are_examples() -> None:
    assert examples("python")
    assert examples("js")
    assert PAGE.read_text().count("```") == 2 * (len(examples("python")) + len(examples("js")))


@pytest.mark.parametrize("program", examples("python"), ids=range(len(examples("python"))))
def test_it_runs(program: str, system: System, tmp_path: Path) -> None:
    program = here(program, system, files(system, tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_pin_of_another_server_ends_it(system: System, tmp_path: Path) -> None:
    program = here(examples("python")[0], system, files(system, tmp_path))
    program = re.sub(r"pin-sha256=\"[^\"]*\"", f'pin-sha256="{"C" * 42}A="', program, count=1)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.rstrip().endswith("PinMismatch: the certificate of localhost is refused: none of its keys is pinned")
