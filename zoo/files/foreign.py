"""What a file is that is no picture we can read, told from its first bytes. No torch in here."""

from __future__ import annotations

_STARTS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the picture: get the files with git lfs pull",
    ),
    (b"/annex/objects/", "a git-annex pointer, not the picture: get the files with git annex get"),
    (b"\x1f\x8b", "a gzip archive: unpack it first (gunzip, tar -xzf)"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\x93NUMPY", "a NumPy array: save it as a PNG (PIL.Image.fromarray(array.astype('uint8')).save('x.png'))"),
    (b"\x89HDF", "an HDF5 file: export its pictures as PNG"),
    (b"%PDF", "a PDF: export its pictures as PNG"),
    (b"version https://hawser", "a Git LFS pointer, not the picture: get the files with git lfs pull"),
)
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}


def kind_of(start: bytes) -> str | None:
    """What the first bytes (64 do) of a file say that it is, and what to do with it; None for what is not known."""
    for sign, meaning in _STARTS:
        if start.startswith(sign):
            return meaning
    if start[4:8] == b"ftyp":
        brand = _BRANDS.get(start[8:12])
        return f"a {brand} picture: export it as JPEG or PNG first" if brand else "a film: export its pictures as PNG"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page that was saved in the picture's place: download the file itself"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"svg" in text):
        return "an SVG drawing: export it as PNG first"
    return None
