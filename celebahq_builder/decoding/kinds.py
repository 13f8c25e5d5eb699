"""What kind of file a photo is, by its first bytes: those that are decoded, and those that are refused by name."""

import struct
from pathlib import PurePath

READ_KINDS = ("JPEG", "PNG", "WebP", "TIFF", "BMP", "GIF", "PNM", "AVIF", "HEIC")
_READ_EXTENSIONS = """.jpg .jpeg .jpe .jfif .jif .mpo .png .apng .webp .tif .tiff .bmp .dib .gif .pbm .pgm .ppm .pnm
.avif .avifs .heic .heif .hif .heics .heifs"""
_REFUSED_EXTENSIONS = ".jxl .jp2 .j2k .jpx .jpf .jls .pfm"  # images all the same: a row with a reason
EXTENSIONS = frozenset(f"{_READ_EXTENSIONS} {_REFUSED_EXTENSIONS}".split())

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_READ = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
)
# Before TIFF, in whose clothes some of them go.
_FOREIGN = (
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop document"),
    (8, b"CR\x02", "Canon raw (CR2)"),
    (4, b"ftypcrx", "Canon raw (CR3)"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (0, b"IIRO", "Olympus raw"),
    (0, b"IIRS", "Olympus raw"),
    (0, b"IIU\0", "Panasonic raw"),
    (0, b"FOVb", "Sigma raw"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"DDS ", "DirectDraw surface"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"PF\n", "PFM (floating point)"),
    (0, b"Pf\n", "PFM (floating point)"),
    (0, b"P7\n", "PAM"),
    (0, b"gimp xcf", "GIMP image"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"<svg", "SVG"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (4, b"ftyp", "MP4 or QuickTime video"),
    (4, b"moov", "MP4 or QuickTime video"),
    (0, b"PK\3\4", "zip archive"),
    (257, b"ustar", "tar archive"),
    (0, b"\x1f\x8b", "gzip file"),
    (0, b"Rar!", "RAR archive"),
    (0, b"7z\xbc\xaf", "7z archive"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 file"),
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def photo_kind(data: bytes) -> str:
    """Return which of READ_KINDS a file is, by its first bytes (300 are enough), or "" when it is none of them."""
    for at, magic, kind in _READ:
        if data[at : at + len(magic)] == magic and (kind != "WebP" or data[:4] == b"RIFF"):
            return kind
    if data[4:8] == b"ftyp":
        (length,) = struct.unpack(">I", data[:4])
        brands = {data[i : i + 4] for i in (8, *range(16, min(max(length, 16), 300), 4))}
        if data[8:12] in _AVIF_BRANDS or (data[8:12] in (b"mif1", b"msf1") and brands & _AVIF_BRANDS):
            return "AVIF"
        return "HEIC" if data[8:12] in _HEIC_BRANDS or brands & (_HEIC_BRANDS - {b"mif1", b"msf1"}) else ""
    if _foreign(data):
        return ""
    if data[:4] in _TIFF:
        return "TIFF"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and len(data) > 2:
        return "PNM"
    # Two letters are little; the length of the header that follows them tells a BMP from a text that begins so.
    if data[:2] == b"BM" and data[14:15] in b"\x0c\x10\x28\x34\x38\x40\x6c\x7c" and data[15:18] in (b"", b"\0\0\0"):
        return "BMP"
    return ""


def foreign_kind(data: bytes) -> str:
    """Return the name of a kind of file that is known and not read, or "" for one that is not known."""
    return _foreign(data)


def _foreign(data: bytes) -> str:
    return next((name for at, magic, name in _FOREIGN if data[at : at + len(magic)] == magic), "")


def other_kind(name: str, data: bytes) -> str:
    """Name the kind of a file that lies among the photos and has no photo's extension.

    Args:
        name: of the file.
        data: its first bytes.
    """
    suffix = PurePath(name).suffix.lower()
    what = suffix or "no extension"
    if kind := photo_kind(data):
        return f"{what}, which begin like {kind}: give them its extension to use them"
    return what
