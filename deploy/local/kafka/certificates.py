"""TLS for a local cluster."""

import os
import subprocess
from pathlib import Path


def make_certificates(folder: Path) -> None:
    """A certificate authority of our own, one certificate for all nodes, and `ca.pem` for clients. Java's keytool makes them."""
    password = (folder / "store-password").read_text()

    def keytool(store: str, *words: str) -> None:
        command = [
            "keytool",
            *words,
            "-keystore",
            str(folder / store),
            "-storetype",
            "PKCS12",
            "-storepass:env",
            "STORE",
        ]
        done = subprocess.run(
            command, env={**os.environ, "STORE": password}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")

    for name in ("ca.p12", "node.p12", "trust.p12", "ca.pem", "node.csr", "node.pem"):
        (folder / name).unlink(missing_ok=True)
    key = ("-keyalg", "EC", "-groupname", "secp256r1", "-validity", "365")
    keytool("ca.p12", "-genkeypair", "-alias", "ca", "-dname", "CN=classpulse local", "-ext", "bc:c", *key)
    keytool("ca.p12", "-exportcert", "-alias", "ca", "-rfc", "-file", str(folder / "ca.pem"))
    keytool("node.p12", "-genkeypair", "-alias", "node", "-dname", "CN=node", *key)
    keytool("node.p12", "-certreq", "-alias", "node", "-file", str(folder / "node.csr"))
    signed = ("-rfc", "-infile", str(folder / "node.csr"), "-outfile", str(folder / "node.pem"))
    keytool("ca.p12", "-gencert", "-alias", "ca", "-ext", "san=dns:localhost,ip:127.0.0.1", "-validity", "365", *signed)
    for store in ("node.p12", "trust.p12"):
        keytool(store, "-importcert", "-alias", "ca", "-noprompt", "-file", str(folder / "ca.pem"))
    keytool("node.p12", "-importcert", "-alias", "node", "-noprompt", "-file", str(folder / "node.pem"))
