"""A seeded zip in ANATEL's layout with one long member of any size, and a server of byte ranges for it."""

import csv
import random
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import TextIOWrapper
from pathlib import Path

REFERENCE = Path(__file__).parent.parent / "stream_jobs" / "reference"
MEMBER = "Acessos_Banda_Larga_Fixa_2025.csv"
HEADER = (
    "Ano;Mês;Grupo Econômico;Empresa;CNPJ;Porte da Prestadora;UF;Município;Código IBGE Município;Faixa de Velocidade;"
    "Velocidade;Tecnologia;Meio de Acesso;Tipo de Pessoa;Tipo de Produto;Acessos"
)

# Real vocabularies. Large providers are four; the small ones are some thousands, here with made-up names and numbers.
LARGE = (
    ("TELECOM AMERICAS", "CLARO", "66970229000167", "Grande Porte"),
    ("TELEFONICA", "VIVO", "02558157000162", "Grande Porte"),
    ("OI", "OI", "53420564000140", "Grande Porte"),
    ("TELECOM ITALIA", "TIM", "02421421000111", "Grande Porte"),
)
SMALL_PROVIDERS = 4_000
SPEEDS = (
    0.5,
    1,
    2,
    5,
    10,
    15,
    20,
    30,
    35,
    50,
    60,
    100,
    120,
    150,
    200,
    220,
    240,
    250,
    300,
    320,
    400,
    500,
    600,
    700,
    1000,
)
BANDS = ((0.512, "0Kbps a 512Kbps"), (2, "512kbps a 2Mbps"), (12, "2Mbps a 12Mbps"), (34, "12Mbps a 34Mbps"))
TECHNOLOGIES = (
    ("FTTH", "Fibra"),
    ("FTTB", "Fibra"),
    ("HFC", "Cabo Coaxial"),
    ("xDSL", "Cabo Metálico"),
    ("ETHERNET", "Cabo Metálico"),
    ("Wi-Fi", "Rádio"),
    ("VSAT", "Satélite"),
)
PERSONS = ("Pessoa Física", "Pessoa Física", "Pessoa Física", "Pessoa Jurídica")
PRODUCTS = ("INTERNET", "INTERNET", "INTERNET", "LINHA_DEDICADA", "OUTROS")


def write(path: Path, rows: int, *, seed: int = 7) -> None:
    """A zip whose one member has that many rows; the same seed gives the same rows."""
    choose = random.Random(seed)
    small = [
        ("OUTROS", f"PROVEDOR {number} TELECOM", f"{choose.randrange(10**13):014d}", "Pequeno Porte")
        for number in range(SMALL_PROVIDERS)
    ]
    places = _places()
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(MEMBER, "w", force_zip64=False) as member,
        TextIOWrapper(member, "utf-8", newline="") as file,
    ):
        file.write("\ufeff" + HEADER + "\r\n")
        for number in range(rows):
            provider = choose.choice(LARGE) if number % 3 == 0 else choose.choice(small)
            speed = choose.choice(SPEEDS)
            band = next((name for limit, name in BANDS if speed <= limit), "> 34Mbps")
            technology, medium = choose.choice(TECHNOLOGIES)
            uf, name, code = choose.choice(places)
            group, company, cnpj, size = provider
            decimal = f"{speed:.6f}".replace(".", ",")
            # The month runs fastest: no two rows of the file have one key.
            file.write(
                f"2025;{number % 12 + 1};{group};{company};{cnpj};{size};{uf};{name};{code};{band};{decimal};"
                f"{technology};{medium};{choose.choice(PERSONS)};{choose.choice(PRODUCTS)};"
                f"{int(choose.paretovariate(0.8))}\r\n"
            )


def _places() -> list[tuple[str, str, str]]:
    """(UF, name, code) of Brazil's municipalities."""
    with (REFERENCE / "estados.csv").open(encoding="utf-8-sig", newline="") as file:
        states = {row["codigo_uf"]: row["uf"] for row in csv.DictReader(file)}
    with (REFERENCE / "municipios.csv").open(encoding="utf-8", newline="") as file:
        return [(states[row["codigo_uf"]], row["nome"], row["codigo_ibge"]) for row in csv.DictReader(file)]


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Serve one file, whatever the path asked for, by single byte ranges. Yields the base URL."""
    size, modified = path.stat().st_size, formatdate(path.stat().st_mtime, usegmt=True)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if match is None:
                self.send_error(400, "a range is needed")
                return
            start, end = int(match[1]), min(int(match[2]) + 1, size)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.send_header("Content-Length", str(end - start))
            self.send_header("Last-Modified", modified)
            self.end_headers()
            with path.open("rb") as file:
                file.seek(start)
                left = end - start
                while left and (block := file.read(min(left, 1 << 20))):
                    left -= len(block)
                    self.wfile.write(block)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
