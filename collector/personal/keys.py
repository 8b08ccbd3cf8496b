"""Keys of records that say what their value is, even where its form would not: names, addresses, numbers, passwords.

*Whose* it is decides: `customer_name` is a person's, `queue_name` is not. Keys are read in snake_case whatever their
writing, of a nested key the last part; German, French, Spanish, Italian, Dutch and a few other words count beside
English ones.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from collector.model.spelling import ascii_snake
from collector.personal import assigned
from collector.personal.emails import SERVICE_MAILBOXES
from collector.personal.masks import is_masked

_WHO = (
    r"(?:customer|client|user|member|recipient|sender|holder|cardholder|contact|patient|student|pupil|employee"
    r"|passenger|traveller|traveler|guest|buyer|seller|payer|payee|beneficiary|applicant|candidate|tenant|driver"
    r"|author|signer|signatory|subscriber|attendee|participant|insured|reporter|requester|approver|billing|shipping"
    r"|delivery|bill_to|ship_to|invoice|person|child|spouse|mother|father|next_of_kin|kin|teacher|doctor"
    r"|physician|nurse|donor|voter|owner|lead|consignee|invitee|kunde|kunden|empfanger|absender|inhaber|cliente|titular"
    r"|destinataire|expediteur)"
)
_NAME = re.compile(
    r"(?:^|_)(?:first|last|middle|given|family|maiden|full|legal|christian|birth|fore|preferred)_?name$"
    r"|(?:^|_)surname$|(?:^|_)(?:vor|nach|familien|geburts|spitz)name$|(?:^|_)(?:prenom|nom_(?:de_)?famille|apellidos?"
    r"|cognome|voornaam|achternaam|fornavn|etternavn|efternavn|fornamn|efternamn|etunimi|sukunimi|sobrenome|nazwisko"
    r"|imie)$|^(?:patronymic|salutation_name|mothers_maiden_name|name_on_card)$"
)
_LOGIN = re.compile(r"(?:^|_)(?:user_?name|login_?name|screen_?name|nick_?name|benutzername|nom_utilisateur|usuario)$")
_ROLE = re.compile(
    rf"(?:^|_){_WHO}s?_(?:display_)?names?$|(?:^|_)(?:account|card|policy|konto)_?(?:holder|inhaber)(?:_name)?$"
    r"|^(?:cardholder|contact_person|kontoinhaber|karteninhaber|ansprechpartner|beneficiary|payee|titulaire|emergency_contact)$"
)
_MAIL = re.compile(
    r"(?:^|_)(?:e_?)?mail(?:_address|_addr|_id)?$|(?:^|_)(?:courriel|correo(?:_electronico)?|e_?mailadresse)$"
)
_TEL = re.compile(
    r"(?:^|_)(?:tele)?(?:phone|mobile|cell|cell_?phone|fax|tel|msisdn|whats_?app|telefono?|telefone|handy|mobil|celular"
    r"|movil|portable|rufnummer|telefon|telefoon)(?:_?(?:number|nummer|nr|no|num))?(?:_?[0-9])?$"
)
_ADDRESS = re.compile(
    r"(?:^|_)(?:street|home|postal|mailing|billing|shipping|residential|delivery|work|invoice|permanent|current_home)"
    rf"_address(?:_line)?(?:_?[0-9])?$|(?:^|_){_WHO}s?_address$|(?:^|_)street(?:_name|_line)?(?:_?[0-9])?$"
    r"|(?:^|_)address_?(?:line)?_?[0-9]$|(?:^|_)(?:strasse|hausnummer|anschrift|adresse|wohnort|wohnadresse|direccion"
    r"|calle|indirizzo|adres|endereco|straat)$"
)
_BARE_ADDRESS = re.compile(r"^(?:full_)?address$")
_POSTCODE = re.compile(
    r"(?:^|_)(?:post_?code|postal_?code|zip|zip_?code|zip_?plus_?4|plz|postleitzahl|code_postal|codigo_postal|eircode"
    r"|postnummer|postnr|pin_?code)$"
)
_BORN = re.compile(
    r"(?:^|_)(?:dob|birth_?date|birthday|birth_?day|date_of_birth|geburtsdatum|geburtstag|date_(?:de_)?naissance"
    r"|fecha_(?:de_)?nacimiento|data_(?:di_)?nascita|geboortedatum)$"
)
_NUMBER = re.compile(
    r"(?:^|_)(?:ssn|social_security(?:_(?:number|no))?|passport(?:_(?:number|no|nr))?|national_(?:id|insurance)"
    r"(?:_(?:number|no))?|nino|tax_(?:id|number)|tin|steuer_?(?:id|nummer)|sozialversicherungsnummer|personalausweis"
    r"(?:nummer)?|reisepass(?:nummer)?|dni|cpf|bsn|pesel|personnummer|codice_fiscale|curp|aadhaar(?:_number)?"
    r"|driv(?:er|ers|ing)_licen[cs]e(?:_(?:number|no))?|bank_account(?:_(?:number|no))?|iban|kontonummer|cvv2?|cvc2?"
    r"|license_plate|medical_record_number|nhs_number|insurance_number)$"
)
_IP = re.compile(
    r"(?:^|_)(?:(?:client|remote|user|visitor|customer|caller|login|signup|sign_in|browser|real|source|src|origin"
    r"|requester|viewer|member)_?ip(?:v[46])?(?:_?addr(?:ess)?)?|remote_addr(?:ess)?|x?_?forwarded_for)$"
    r"|^ip(?:v[46])?(?:_?addr(?:ess)?)?$|^true_client_ip$|^cf_connecting_ip$"
)
_SECRET = re.compile(
    r"(?:^|_)(?P<word>password|passwd|passphrase|passcode|pwd|passwort|client_secret|secret|(?:api|access|secret|private"
    r"|signing|encryption|master|auth|account)_?key|token)$"
)
_HEADER = re.compile(r"^(?:authorization|proxy_authorization|cookie|set_cookie)$")
_SHOWN = re.compile(r"^(?:user_?)?display_?name$")
_THING = re.compile(r"(?:^|_)(?:repo|repository|font|package|module|class|method|function|file|project|image|table)_")
_DOUBTFUL = re.compile(r"(?:^|_)(?:driver|client|reporter|tenant)_")
"""Words for a person or a program, whose name counts in two words with capitals."""
_WALLET = re.compile(r"0x[0-9a-fA-F]+|(?=\D*\d)[A-Za-z0-9]{20,}")
_EPOCH = re.compile(r"1[4-9][0-9]{8}(?:\.[0-9]+)?|1[4-9][0-9]{11}")
_SAYING = (
    _SHOWN,
    _NAME,
    _LOGIN,
    _ROLE,
    _MAIL,
    _TEL,
    _ADDRESS,
    _BARE_ADDRESS,
    _POSTCODE,
    _BORN,
    _NUMBER,
    _IP,
    _SECRET,
    _HEADER,
)

_OPAQUE = re.compile(
    r"(?i)^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:sha(?:1|256|512)|md5|hmac)[:-].+|[0-9a-f]{16,}|true|false"
    r"|yes|no|unknown|anonymous|n/?a|\d{1,3}|[a-z]{2,8}_[a-z0-9]{6,})$"
)
_NOT_WRITTEN = frozenset("/@:\\{=<>|")
_COMPANY = re.compile(
    r"(?i)(?:^|[\s,.&])(?:gmbh|ag|kg|ug|ohg|inc|llc|ltd|limited|corp|corporation|company|co|plc|s\.?a|sas|sarl|s\.?r\.?l|b\.?v|n\.?v"
    r"|oy|ab|a/?s|aps|pty|group|holdings?|bank|store|shop|services?|systems?|solutions|team|app|api|bot|service|support"
    r"|university|hospital|school|agency|foundation|default|admin|test|production|staging)\.?$"
)
_MACHINES = re.compile(
    r"(?i)^(?:admin(?:istrator)?|guest|nobody|system|anonymous|service|default|test|api|app|bot|www-data|user)$"
)


def key_kind(key: str, value: object) -> str | None:
    """Return what a literal *value* under *key* is (`name`, `email`, `phone`, `address`, `birth_date`, `number`, `ip`,
    `secret`), None when the key says nothing or the value is hashed, masked, opaque or neither text nor a whole number.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not names_personal_data(key):
        return None
    text = str(value).strip()
    if not text or is_masked(text):
        return None
    name = ascii_snake(key.rsplit(".", 1)[-1])
    if secret := _SECRET.search(name):
        before = name[: secret.start("word")]
        return "secret" if isinstance(value, str) and assigned.is_value(secret["word"], text, before=before) else None
    if _HEADER.search(name):
        return "secret" if len(text) >= 6 and re.search(r"[0-9=]|[a-z][A-Z]", text) else None
    if _OPAQUE.match(text) and not (_NUMBER.search(name) or _TEL.search(name)):
        return None
    return _personal(name, text)


def _personal(name: str, text: str) -> str | None:
    digits = sum(c.isdigit() for c in text)
    doubtful = _DOUBTFUL.search(name) is not None
    if _WALLET.fullmatch(text) and _ADDRESS.search(name):
        return None
    tests: tuple[tuple[re.Pattern[str], str, bool], ...] = (
        (_MAIL, "email", "@" in text and " " not in text.strip()),
        (_TEL, "phone", digits >= 7 and digits * 2 >= len(text) and not _EPOCH.fullmatch(text)),
        (_SHOWN, "name", _is_full_name(text)),
        (_NAME, "name", not _THING.search(name) and (_is_full_name(text) if doubtful else _is_written(text))),
        (_LOGIN, "name", _is_login(text)),
        (_ROLE, "name", _is_full_name(text) if doubtful else _is_person(text)),
        (_ADDRESS, "address", _is_written(text, also="/:") and (" " in text or text[0].isupper() or digits > 0)),
        (_BARE_ADDRESS, "address", _is_written(text, also="/:") and " " in text and (digits > 0 or "," in text)),
        (_POSTCODE, "address", bool(re.fullmatch(r"[A-Za-z0-9](?=.*[0-9])[A-Za-z0-9 -]{2,9}", text))),
        (_BORN, "birth_date", digits >= 4),
        (_NUMBER, "number", digits >= 3 and digits * 2 >= len(text.replace(" ", "")) and "_" not in text),
        (_IP, "ip", _is_persons_address(text)),
    )
    return next((kind for pattern, kind, literal in tests if literal and pattern.search(name)), None)


def _is_written(text: str, also: str = "") -> bool:
    """Tell whether *text* has letters and nothing that names and addresses are not written with."""
    return any(c.isalpha() for c in text) and "://" not in text and not (_NOT_WRITTEN - set(also)) & set(text)


def _is_person(text: str) -> bool:
    """Tell whether *text* reads like a person's name: words with capitals, or of another script, and no company."""
    if not _is_written(text) or any(c.isdigit() or c == "_" for c in text) or _COMPANY.search(text):
        return False
    words = text.split()
    capitals = sum(word[0].isupper() or not word.isascii() for word in words)
    return len(words) <= 6 and (capitals > 0 or 2 <= len(words) <= 3) and len(text) > 1


def _is_full_name(text: str) -> bool:
    """Tell whether *text* reads like a person's name in two or three words with capitals."""
    words = text.split()
    return 2 <= len(words) <= 3 and all(word[0].isupper() for word in words) and _is_person(text)


def _is_login(text: str) -> bool:
    known = text.lower() in SERVICE_MAILBOXES or _MACHINES.match(text)
    return 2 <= len(text) <= 64 and " " not in text and _is_written(text, also="@\\") and not known


def _is_persons_address(text: str) -> bool:
    """Tell whether *text* is, or begins with, an address of the internet; those of documentation stand for one."""
    try:
        address = ipaddress.ip_address(text.split(",", 1)[0].strip().strip("[]"))
    except ValueError:
        return False
    documented = address.is_private and any(
        address in network for network in _DOCUMENTATION if network.version == address.version
    )
    return documented or (address.is_global and not address.is_multicast)


_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"))
)


@lru_cache(maxsize=8_192)
def names_personal_data(key: str) -> bool:
    """Tell whether `key_kind` may say anything of values under *key*."""
    name = ascii_snake(key.rsplit(".", 1)[-1])
    return any(pattern.search(name) for pattern in _SAYING)
