"""
The errors of the gateway: one tree, each class with a stable code.

    GatewayError
      x Refused               the sender must change something; never retried
        + UnknownPartner        onbekende-partner          403
        + BadSeal               zegel-ongeldig             400
          - BadSignature          handtekening-ongeldig    400
          - CertificateRefused    certificaat-geweigerd    403
          - WrongAudience         verkeerde-ontvanger      400
          - Expired               bericht-verlopen         400
          - FromTheFuture         bericht-uit-de-toekomst  400
        + TooLarge              bericht-te-groot           413
        + Empty                 bericht-leeg               400
        + InvalidDocument       document-ongeldig          400
          - DtdForbidden          dtd-verboden             400
          - TooDeep               te-diep-genest           400
          - DuplicateKey          dubbele-sleutel          400
          - UnknownDocument       document-onbekend        400
          - InvalidValue          waarde-ongeldig          400
            . InvalidBsn            bsn-ongeldig           400
          - UnknownCode           code-onbekend            400
          - EnvelopeMismatch      envelop-wijkt-af         400
        + IdReused              id-hergebruikt             409
        + NotAllowed            niet-toegestaan            403
        + NoReceiver            geen-ontvanger             422
        + UnknownQuestion       vraag-onbekend             422
        + NotFound              niet-gevonden              404
        + BadRequest            verzoek-ongeldig           400
      x Undeliverable         the receiver cannot take it; a person must look
        + NotExpressible        niet-uitdrukbaar
        + RejectedByPartner     geweigerd-door-partner
        + DeadlinePassed        termijn-verstreken
        + BodyDestroyed         inhoud-vernietigd
        + Quarantined           in-quarantaine
      x Unavailable           transient; tried again
        + BusUnavailable        bus-onbereikbaar           503
        + StoreUnavailable      opslag-onbereikbaar        503
        + PartnerUnavailable    partner-onbereikbaar       503
        + ReceiptInvalid        ontvangstbewijs-ongeldig   503
      x Misconfigured         stops the start
        + TopologyMismatch      topologie-wijkt-af
        + MappingInvalid        mapping-ongeldig
        + SchemaMissing         schema-ontbreekt

Retry, HTTP status, log level and dead letter all follow from the class. `titel` and `advies` are
read by partners, hence Dutch; `operator`, of what ICT staff must mend, is read by them. No text ever
holds a value of a document: an error says *where* (`path`) and *what rule*, not *what was there*.
"""

from typing import ClassVar


class GatewayError(Exception):
    """
    Catch this at the edge: every error the gateway raises on purpose is one.

    `detail` is one Dutch sentence for the sender, `path` the place in the document (names only).
    """

    code: ClassVar[str] = "interne-fout"
    transient: ClassVar[bool] = False
    status: ClassVar[int] = 500
    titel: ClassVar[str] = "Er ging iets mis in de gateway"
    advies: ClassVar[str] = "Probeer het later opnieuw of neem contact op met de beheerder."

    def __init_subclass__(cls, *, code: str = "", status: int = 0) -> None:
        cls.code, cls.status = code or cls.code, status or cls.status

    def __init__(
        self, detail: str = "", *, path: str | None = None, retry_after: float | None = None
    ) -> None:
        self.detail, self.path, self.retry_after = detail or self.titel, path, retry_after
        super().__init__(self.detail)

    def reason(self) -> str:
        """The sentence that is stored as the reason of a state: code, place, rule."""
        place = f" ({self.path})" if self.path else ""
        return f"{self.code}: {self.detail}{place}"


class Refused(GatewayError, code="geweigerd", status=400):
    """Catch this to tell the sender what to change: retrying as it is will not help."""

    titel = "Het bericht is geweigerd"
    advies = "Pas het bericht aan en bied het onder een nieuw id opnieuw aan."


class UnknownPartner(Refused, code="onbekende-partner", status=403):
    """The TLS client or the signer is no partner of this gateway: check OIN and certificates."""

    titel = "De afzender is geen partner van deze gateway"
    advies = "Gebruik het certificaat met het OIN waaronder u bent aangesloten."


class BadSeal(Refused, code="zegel-ongeldig"):
    """The JOSE object cannot be opened: broken, an old key, or not this profile."""

    titel = "Het verzegelde bericht kan niet worden geopend"
    advies = "Verzegel volgens profiel zvh-jose-1 met de actuele publieke sleutel van de gateway."


class BadSignature(BadSeal, code="handtekening-ongeldig"):
    """The signature does not match, or the document was changed after signing."""

    titel = "De handtekening hoort niet bij dit bericht"
    advies = "Onderteken de envelop met uw eigen sleutel en verstuur het document ongewijzigd."


class CertificateRefused(BadSeal, code="certificaat-geweigerd", status=403):
    """The signing certificate is unknown, expired, revoked or from another authority."""

    titel = "Het certificaat van de ondertekenaar is niet bruikbaar"
    advies = "Onderteken met een geldig, niet ingetrokken certificaat dat bij ons bekend is."


class WrongAudience(BadSeal, code="verkeerde-ontvanger"):
    """`aud` is not this gateway; possibly a replayed message."""

    titel = "Het bericht is niet aan deze gateway gericht"
    advies = "Zet in `aud` van de envelop het OIN van de gateway."


class Expired(BadSeal, code="bericht-verlopen"):
    """`iat` lies further back than the time window: a wrong clock or a replayed message."""

    titel = "De ondertekening is te oud"
    advies = "Verzegel het bericht opnieuw; een ondertekening is vier dagen bruikbaar."


class FromTheFuture(BadSeal, code="bericht-uit-de-toekomst"):
    """`iat` lies in the future, beyond the tolerance for clocks."""

    titel = "De ondertekening ligt in de toekomst"
    advies = "Zet de klok van uw systeem gelijk en verzegel het bericht opnieuw."


class TooLarge(Refused, code="bericht-te-groot", status=413):
    """More bytes than the limit of the endpoint."""

    titel = "Het bericht is te groot"
    advies = "Verstuur een kleiner bericht; de grens staat in de melding."


class Empty(Refused, code="bericht-leeg"):
    """No body, or no document in it."""

    titel = "Het bericht is leeg"
    advies = "Verstuur een verzegeld bericht met een document erin."


class InvalidDocument(Refused, code="document-ongeldig"):
    """The document is not well-formed or its schema refuses it."""

    titel = "Het document voldoet niet aan het schema"
    advies = "Herstel het genoemde element volgens het schema van het koppelvlak."


class DtdForbidden(InvalidDocument, code="dtd-verboden"):
    """A DOCTYPE in an XML document; possibly an attack (entity expansion, external entity)."""

    titel = "Een DTD of entiteit is niet toegestaan"
    advies = "Verstuur XML zonder DOCTYPE."


class TooDeep(InvalidDocument, code="te-diep-genest"):
    """Nested deeper than any message of ours; possibly an attack on the parser."""

    titel = "Het document is te diep genest"
    advies = "Verstuur een document volgens het schema."


class DuplicateKey(InvalidDocument, code="dubbele-sleutel"):
    """The same key twice in one JSON object: readers would disagree on its value."""

    titel = "Een JSON-object bevat een sleutel tweemaal"
    advies = "Laat elke sleutel in een object eenmaal voorkomen."


class UnknownDocument(InvalidDocument, code="document-onbekend"):
    """No dialect of this partner has this root element or type."""

    titel = "Dit soort document kent de gateway niet"
    advies = "Controleer het hoofdelement, de namespace en het afgesproken koppelvlak."


class InvalidValue(InvalidDocument, code="waarde-ongeldig"):
    """The schema lets it pass, but the value cannot exist (a 31st of February)."""

    titel = "Een waarde kan niet bestaan"
    advies = "Herstel de waarde van het genoemde veld."


class InvalidBsn(InvalidValue, code="bsn-ongeldig"):
    """A BSN that fails the 11-proef: a typing error, or a test number in production."""

    titel = "Een burgerservicenummer doorstaat de elfproef niet"
    advies = "Controleer het BSN bij de bron; laat het weg als het onbekend is."


class UnknownCode(InvalidDocument, code="code-onbekend"):
    """A code that has no row in its table: add it, or tell the partner. Never guessed."""

    titel = "Een code staat niet in de codetabel"
    advies = "Gebruik een code uit de genoemde tabel."


class EnvelopeMismatch(InvalidDocument, code="envelop-wijkt-af"):
    """The sealed envelope says something else than the document: a fault, or tampering."""

    titel = "De envelop en het document spreken elkaar tegen"
    advies = "Laat id, soort en afzender in envelop en document gelijk zijn."


class IdReused(Refused, code="id-hergebruikt", status=409):
    """The same id with another document (StUF016)."""

    titel = "Dit id is al gebruikt voor een ander document"
    advies = "Geef een gewijzigd bericht een nieuw id."


class NotAllowed(Refused, code="niet-toegestaan", status=403):
    """Default deny: no rule of doelbinding or no agreement allows this exchange."""

    titel = "Voor deze uitwisseling bestaat geen grondslag"
    advies = "Vraag de beheerder welke afspraak voor dit soort bericht geldt."


class NoReceiver(Refused, code="geen-ontvanger", status=422):
    """Routing found nobody who takes this kind for this house."""

    titel = "Er is geen ontvanger voor dit bericht"
    advies = "Noem in het bericht het Zorg- en Veiligheidshuis waarvoor het bestemd is."


class UnknownQuestion(Refused, code="vraag-onbekend", status=422):
    """An answer to a question that this partner was never asked."""

    titel = "De vraag bij dit antwoord is niet bekend"
    advies = "Verwijs naar het referentienummer van een vraag die u van ons ontving."


class NotFound(Refused, code="niet-gevonden", status=404):
    """Nothing under this id that belongs to the asker."""

    titel = "Niet gevonden"
    advies = "Controleer het id; u ziet alleen uw eigen berichten."


class BadRequest(Refused, code="verzoek-ongeldig"):
    """Parameters or headers of a request do not follow the API description."""

    titel = "Het verzoek is onjuist"
    advies = "Controleer het verzoek tegen /openapi.json."


class Undeliverable(GatewayError, code="onbestelbaar"):
    """Catch this to declare a delivery dead: a person looks at the reason, repairs, requeues."""

    titel = "Het bericht kan niet worden afgeleverd"
    advies = "De beheerder van de gateway neemt contact op."


class NotExpressible(Undeliverable, code="niet-uitdrukbaar"):
    """The receiver's dialect cannot say this: use another, or correct the message at its source."""

    titel = "Het bericht is niet uit te drukken in het formaat van de ontvanger"


class RejectedByPartner(Undeliverable, code="geweigerd-door-partner"):
    """The receiver refused it, finally; its code is in the attempt."""

    titel = "De ontvanger heeft het bericht geweigerd"


class DeadlinePassed(Undeliverable, code="termijn-verstreken"):
    """Tried until the receiver's deadline; requeue when it is back."""

    titel = "De termijn voor aflevering is verstreken"


class BodyDestroyed(Undeliverable, code="inhoud-vernietigd"):
    """The key of the body was destroyed on its destroy-by date; only the record is left."""

    titel = "De inhoud is na de bewaartermijn vernietigd"


class Quarantined(Undeliverable, code="in-quarantaine"):
    """Worker after worker ended while it handled this one: find out why before it is requeued."""

    titel = "De verwerking breekt telkens af zonder uitkomst"


class Unavailable(GatewayError, code="onbereikbaar", status=503):
    """Catch this to try again later."""

    transient = True
    titel = "De dienst is even niet beschikbaar"
    advies = "Bied hetzelfde bericht later ongewijzigd opnieuw aan."
    operator: ClassVar[str] = "Passes by itself, or a component is down."


class BusUnavailable(Unavailable, code="bus-onbereikbaar"):
    """The broker does not answer or does not confirm."""

    operator = "Check RabbitMQ; messages stay safe in the store meanwhile."


class StoreUnavailable(Unavailable, code="opslag-onbereikbaar"):
    """The database does not answer; nothing was accepted."""

    operator = "Check the database and its disk; senders get 503 meanwhile."


class PartnerUnavailable(Unavailable, code="partner-onbereikbaar"):
    """The receiver does not answer, or asks to come back later."""

    titel = "De ontvanger is niet bereikbaar"
    operator = "Passes by itself; deliveries are tried again until their deadline."


class ReceiptInvalid(Unavailable, code="ontvangstbewijs-ongeldig"):
    """The receiver answered, but its receipt proves nothing."""

    titel = "Het ontvangstbewijs van de ontvanger is niet geldig"
    operator = "Sent again: the receiver recognises the repeat. If it stays, call the partner."


class Misconfigured(GatewayError, code="configuratie-onjuist"):
    """Catch this at start: say what to repair, and stop."""

    titel = "De configuratie is onjuist"
    operator: ClassVar[str] = "Repair the configuration and start again."


class TopologyMismatch(Misconfigured, code="topologie-wijkt-af"):
    """The broker's queues are not what queue/topology.toml says."""

    operator = "Run `gateway bus check` and repair the broker's definitions."


class MappingInvalid(Misconfigured, code="mapping-ongeldig"):
    """A mapping or code table that is not total, disjoint or well-formed."""

    operator = "Repair the mapping file that is named."


class SchemaMissing(Misconfigured, code="schema-ontbreekt"):
    """A schema file is missing or does not compile."""

    operator = "Check the installation, or the configured folder of normative schemas."
