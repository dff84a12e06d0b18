"""TLS for a local cluster."""

import os
import shutil
import subprocess
from pathlib import Path

CONFIG = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[node]
subjectAltName = DNS:localhost, IP:127.0.0.1
"""
"""Whatever OpenSSL's own configuration on this machine says."""

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
LIFETIME = ("-days", "365")
NODE = "node-and-key.pem"


def make_certificates(folder: Path) -> None:
    """A certificate authority of our own, which signs once: `ca.pem` for clients, NODE with its key for all nodes (KIP-651).

    Raises RuntimeError naming what OpenSSL refused, or that it is not installed.
    """
    if shutil.which("openssl") is None:
        raise RuntimeError("openssl is not installed: on Debian, apt install openssl")
    config, authority, request = folder / "openssl.cnf", folder / "ca.key", folder / "node.csr"
    config.write_text(CONFIG)
    key, ca, node = folder / "node.key", folder / "ca.pem", folder / "node.crt"
    own = ("-x509", "-extensions", "authority", "-subj", "/CN=classpulse local", *LIFETIME)
    signed = (
        "-CA",
        str(ca),
        "-CAkey",
        str(authority),
        "-set_serial",
        "1",
        "-extfile",
        str(config),
        "-extensions",
        "node",
    )
    _openssl("req", "-config", str(config), *KEY, *own, "-keyout", str(authority), "-out", str(ca))
    _openssl("req", "-config", str(config), *KEY, "-subj", "/CN=node", "-keyout", str(key), "-out", str(request))
    _openssl("x509", "-req", "-in", str(request), *signed, *LIFETIME, "-out", str(node))
    write_private(folder / NODE, key.read_text() + node.read_text() + ca.read_text())
    for passing in (config, authority, request, key, node):
        passing.unlink()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
