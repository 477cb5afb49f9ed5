"""Link types: numbers and names as tcpdump writes them (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

NULL = 0
ETHERNET = 1
PPP = 9
RAW_BSD = 12
RAW_OPENBSD = 14
PPP_HDLC = 50
PPP_ETHER = 51
RAW = 101
CISCO_HDLC = 104
IEEE802_11 = 105
LOOP = 108
LINUX_SLL = 113
IEEE802_11_RADIO = 127
PPI = 192
IPV4 = 228
IPV6 = 229
NFLOG = 239
PKTAP = 258
LINUX_SLL2 = 276

NAMES = {
    0: "NULL", 1: "EN10MB", 3: "AX25", 6: "IEEE802", 7: "ARCNET", 8: "SLIP", 9: "PPP", 10: "FDDI", 12: "RAW", 14: "RAW",
    50: "PPP_SERIAL", 51: "PPP_ETHER", 99: "SYMANTEC_FIREWALL", 100: "ATM_RFC1483", 101: "RAW", 104: "C_HDLC",
    105: "IEEE802_11", 107: "FRELAY", 108: "LOOP", 109: "ENC", 113: "LINUX_SLL", 114: "LTALK", 117: "PFLOG",
    119: "PRISM_HEADER", 122: "IP_OVER_FC", 123: "SUNATM", 127: "IEEE802_11_RADIO", 129: "ARCNET_LINUX",
    138: "APPLE_IP_OVER_IEEE1394", 139: "MTP2_WITH_PHDR", 140: "MTP2", 141: "MTP3", 142: "SCCP", 143: "DOCSIS",
    144: "LINUX_IRDA", 147: "USER0", 148: "USER1", 149: "USER2", 163: "IEEE802_11_RADIO_AVS", 165: "BACNET_MS_TP",
    166: "PPP_PPPD", 177: "LINUX_LAPD", 187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 192: "PPI",
    195: "IEEE802_15_4_WITHFCS", 197: "ERF", 201: "BLUETOOTH_HCI_H4_WITH_PHDR", 220: "USB_LINUX_MMAPPED",
    224: "FC_2", 226: "IPNET", 227: "CAN_SOCKETCAN", 228: "IPV4", 229: "IPV6", 230: "IEEE802_15_4_NOFCS", 231: "DBUS",
    239: "NFLOG", 240: "NETANALYZER", 242: "IPOIB", 247: "INFINIBAND", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL",
    253: "NETLINK", 254: "BLUETOOTH_LINUX_MONITOR", 258: "PKTAP", 264: "ISO_14443", 265: "RDS", 271: "VSOCK_MON",
    272: "NORDIC_BLE", 276: "LINUX_SLL2", 283: "IEEE802_15_4_TAP",
}  # fmt: skip

READ = frozenset(
    (
        NULL,
        ETHERNET,
        PPP,
        RAW_BSD,
        RAW_OPENBSD,
        PPP_HDLC,
        PPP_ETHER,
        RAW,
        CISCO_HDLC,
        IEEE802_11,
        LOOP,
        LINUX_SLL,
        IEEE802_11_RADIO,
        PPI,
        IPV4,
        IPV6,
        NFLOG,
        PKTAP,
        LINUX_SLL2,
    )
)  # fmt: skip - link types that are decoded


def link_type_name(number: int) -> str:
    """Name of a link type as `tcpdump -L` writes it; `LINKTYPE_<number>` where it has none here."""
    return NAMES.get(number, f"LINKTYPE_{number}")
