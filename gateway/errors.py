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
read by partners, hence Dutch; `operator` is read by ICT staff. No text ever holds a value of a
document: an error says *where* (`path`) and *what rule*, not *what was there*.
"""

from __future__ import annotations

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
    operator: ClassVar[str] = "An error without a class of its own: a bug in the gateway."

    def __init__(
        self, detail: str = "", *, path: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail or self.titel)
        self.detail = detail or self.titel
        self.path = path
        self.retry_after = retry_after

    def reason(self) -> str:
        """The sentence that is stored as the reason of a state: code, place, rule."""
        place = f" ({self.path})" if self.path else ""
        return f"{self.code}: {self.detail}{place}"


class Refused(GatewayError):
    """Catch this to tell the sender what to change."""

    code = "geweigerd"
    status = 400
    titel = "Het bericht is geweigerd"
    advies = "Pas het bericht aan en bied het onder een nieuw id opnieuw aan."
    operator = "The sender must change something; retrying as it is will not help."


class UnknownPartner(Refused):
    """The TLS client or the signer is not a partner of this gateway."""

    code = "onbekende-partner"
    status = 403
    titel = "De afzender is geen partner van deze gateway"
    advies = "Gebruik het certificaat met het OIN waaronder u bent aangesloten."
    operator = "Check the partner's OIN and certificates in the configuration."


class BadSeal(Refused):
    """The JOSE object cannot be opened: broken, wrong key, or not this profile."""

    code = "zegel-ongeldig"
    titel = "Het verzegelde bericht kan niet worden geopend"
    advies = "Verzegel volgens profiel zvh-jose-1 met de actuele publieke sleutel van de gateway."
    operator = "The sender does not follow the seal profile, or encrypts with an old key."


class BadSignature(BadSeal):
    """The signature does not match, or the document is not the one that was signed."""

    code = "handtekening-ongeldig"
    titel = "De handtekening hoort niet bij dit bericht"
    advies = "Onderteken de envelop met uw eigen sleutel en verstuur het document ongewijzigd."
    operator = "Tampering, or a sender that changes the document after signing."


class CertificateRefused(BadSeal):
    """The signing certificate is unknown, expired, revoked or from another authority."""

    code = "certificaat-geweigerd"
    status = 403
    titel = "Het certificaat van de ondertekenaar is niet bruikbaar"
    advies = "Onderteken met een geldig, niet ingetrokken certificaat dat bij ons bekend is."
    operator = "Check validity, CRL and registration of the partner's signing certificate."


class WrongAudience(BadSeal):
    """`aud` is not this gateway."""

    code = "verkeerde-ontvanger"
    titel = "Het bericht is niet aan deze gateway gericht"
    advies = "Zet in `aud` van de envelop het OIN van de gateway."
    operator = "The sender addressed another system; possibly a replayed message."


class Expired(BadSeal):
    """`iat` lies further back than the time window."""

    code = "bericht-verlopen"
    titel = "De ondertekening is te oud"
    advies = "Verzegel het bericht opnieuw; een ondertekening is vier dagen bruikbaar."
    operator = "Older than the window; a clock that is wrong or a replayed message."


class FromTheFuture(BadSeal):
    """`iat` lies in the future, beyond the tolerance for clocks."""

    code = "bericht-uit-de-toekomst"
    titel = "De ondertekening ligt in de toekomst"
    advies = "Zet de klok van uw systeem gelijk en verzegel het bericht opnieuw."
    operator = "The sender's clock is wrong."


class TooLarge(Refused):
    """More bytes than the limit."""

    code = "bericht-te-groot"
    status = 413
    titel = "Het bericht is te groot"
    advies = "Verstuur een kleiner bericht; de grens staat in de melding."
    operator = "Over the size limit of the endpoint."


class Empty(Refused):
    """No body, or no document in it."""

    code = "bericht-leeg"
    titel = "Het bericht is leeg"
    advies = "Verstuur een verzegeld bericht met een document erin."
    operator = "The sender posts nothing."


class InvalidDocument(Refused):
    """The document is not well-formed or its schema refuses it."""

    code = "document-ongeldig"
    titel = "Het document voldoet niet aan het schema"
    advies = "Herstel het genoemde element volgens het schema van het koppelvlak."
    operator = "The partner's system produces documents its own schema refuses."


class DtdForbidden(InvalidDocument):
    """A DOCTYPE, and so possibly entities, in an XML document."""

    code = "dtd-verboden"
    titel = "Een DTD of entiteit is niet toegestaan"
    advies = "Verstuur XML zonder DOCTYPE."
    operator = "Possibly an attack (entity expansion, external entity)."


class TooDeep(InvalidDocument):
    """Nested deeper than any message of ours."""

    code = "te-diep-genest"
    titel = "Het document is te diep genest"
    advies = "Verstuur een document volgens het schema."
    operator = "Possibly an attack on the parser."


class DuplicateKey(InvalidDocument):
    """The same key twice in one JSON object: readers would disagree on its value."""

    code = "dubbele-sleutel"
    titel = "Een JSON-object bevat een sleutel tweemaal"
    advies = "Laat elke sleutel in een object eenmaal voorkomen."
    operator = "Ambiguous JSON; a fault in the sender's writer or an attack."


class UnknownDocument(InvalidDocument):
    """No dialect of ours has this root element or type."""

    code = "document-onbekend"
    titel = "Dit soort document kent de gateway niet"
    advies = "Controleer het hoofdelement, de namespace en het afgesproken koppelvlak."
    operator = "Root element or type belongs to no dialect of this partner."


class InvalidValue(InvalidDocument):
    """The schema lets it pass, but the value cannot exist (a 31st of February)."""

    code = "waarde-ongeldig"
    titel = "Een waarde kan niet bestaan"
    advies = "Herstel de waarde van het genoemde veld."
    operator = "Meaningless value in a field the schema does not constrain further."


class InvalidBsn(InvalidValue):
    """A burgerservicenummer that fails the 11-proef."""

    code = "bsn-ongeldig"
    titel = "Een burgerservicenummer doorstaat de elfproef niet"
    advies = "Controleer het BSN bij de bron; laat het weg als het onbekend is."
    operator = "Typing error at the source or a test number in production."


class UnknownCode(InvalidDocument):
    """A code that has no row in its table. Never guessed."""

    code = "code-onbekend"
    titel = "Een code staat niet in de codetabel"
    advies = "Gebruik een code uit de genoemde tabel."
    operator = "Add the code to the named table, or tell the partner."


class EnvelopeMismatch(InvalidDocument):
    """The sealed envelope says something else than the document."""

    code = "envelop-wijkt-af"
    titel = "De envelop en het document spreken elkaar tegen"
    advies = "Laat id, soort en afzender in envelop en document gelijk zijn."
    operator = "Envelope and document disagree: a fault in the sender, or tampering at the source."


class IdReused(Refused):
    """The same id with another document (StUF016)."""

    code = "id-hergebruikt"
    status = 409
    titel = "Dit id is al gebruikt voor een ander document"
    advies = "Geef een gewijzigd bericht een nieuw id."
    operator = "The sender reuses message ids."


class NotAllowed(Refused):
    """No rule of doelbinding allows this sender, kind and receiver."""

    code = "niet-toegestaan"
    status = 403
    titel = "Voor deze uitwisseling bestaat geen grondslag"
    advies = "Vraag de beheerder welke afspraak voor dit soort bericht geldt."
    operator = "Default deny: no rule in doelbinding.toml, or the partner agreement excludes it."


class NoReceiver(Refused):
    """Nobody takes this kind for this house."""

    code = "geen-ontvanger"
    status = 422
    titel = "Er is geen ontvanger voor dit bericht"
    advies = "Noem in het bericht het Zorg- en Veiligheidshuis waarvoor het bestemd is."
    operator = "Routing found no partner for kind and house."


class UnknownQuestion(Refused):
    """An answer to a question that this partner was never asked."""

    code = "vraag-onbekend"
    status = 422
    titel = "De vraag bij dit antwoord is niet bekend"
    advies = "Verwijs naar het referentienummer van een vraag die u van ons ontving."
    operator = "The cross reference matches no message delivered to this partner."


class NotFound(Refused):
    """Nothing under this id that belongs to the asker."""

    code = "niet-gevonden"
    status = 404
    titel = "Niet gevonden"
    advies = "Controleer het id; u ziet alleen uw eigen berichten."
    operator = "Unknown id, or another partner's."


class BadRequest(Refused):
    """Parameters or headers of a request are wrong."""

    code = "verzoek-ongeldig"
    titel = "Het verzoek is onjuist"
    advies = "Controleer het verzoek tegen /openapi.json."
    operator = "A client that does not follow the API description."


class Undeliverable(GatewayError):
    """Catch this to declare a delivery dead: only a person can help."""

    code = "onbestelbaar"
    titel = "Het bericht kan niet worden afgeleverd"
    advies = "De beheerder van de gateway neemt contact op."
    operator = "Look at the reason, repair, requeue."


class NotExpressible(Undeliverable):
    """The receiver's dialect has no way to say this."""

    code = "niet-uitdrukbaar"
    titel = "Het bericht is niet uit te drukken in het formaat van de ontvanger"
    operator = "Give the receiver another dialect, or correct the message at its source."


class RejectedByPartner(Undeliverable):
    """The receiver refused it, finally."""

    code = "geweigerd-door-partner"
    titel = "De ontvanger heeft het bericht geweigerd"
    operator = "Ask the receiver why; its code is in the attempt."


class DeadlinePassed(Undeliverable):
    """Tried until the receiver's deadline."""

    code = "termijn-verstreken"
    titel = "De termijn voor aflevering is verstreken"
    operator = "The receiver was unavailable too long; requeue when it is back."


class BodyDestroyed(Undeliverable):
    """The key of the body was destroyed on its destroy-by date."""

    code = "inhoud-vernietigd"
    titel = "De inhoud is na de bewaartermijn vernietigd"
    operator = "The retention term passed; only the record is left."


class Unavailable(GatewayError):
    """Catch this to try again later."""

    code = "onbereikbaar"
    transient = True
    status = 503
    titel = "De dienst is even niet beschikbaar"
    advies = "Bied hetzelfde bericht later ongewijzigd opnieuw aan."
    operator = "Passes by itself, or a component is down."


class BusUnavailable(Unavailable):
    """The broker does not answer or does not confirm."""

    code = "bus-onbereikbaar"
    operator = "Check RabbitMQ; messages stay safe in the store meanwhile."


class StoreUnavailable(Unavailable):
    """The database does not answer; nothing was accepted."""

    code = "opslag-onbereikbaar"
    operator = "Check the database and its disk; senders get 503 meanwhile."


class PartnerUnavailable(Unavailable):
    """The receiver does not answer, or asks to come back later."""

    code = "partner-onbereikbaar"
    titel = "De ontvanger is niet bereikbaar"
    operator = "The delivery is tried again by the ladder until its deadline."


class ReceiptInvalid(Unavailable):
    """The receiver answered, but its receipt proves nothing."""

    code = "ontvangstbewijs-ongeldig"
    titel = "Het ontvangstbewijs van de ontvanger is niet geldig"
    operator = "Sent again: the receiver recognises the repeat. If it stays, call the partner."


class Misconfigured(GatewayError):
    """Catch this at start: say what to repair, and stop."""

    code = "configuratie-onjuist"
    titel = "De configuratie is onjuist"
    operator = "Repair the configuration and start again."


class TopologyMismatch(Misconfigured):
    """The broker's queues are not what queue/topology.toml says."""

    code = "topologie-wijkt-af"
    operator = "Run `gateway bus check` and repair the broker's definitions."


class MappingInvalid(Misconfigured):
    """A mapping or code table that is not total, disjoint or well-formed."""

    code = "mapping-ongeldig"
    operator = "Repair the mapping file that is named."


class SchemaMissing(Misconfigured):
    """A schema file is missing or does not compile."""

    code = "schema-ontbreekt"
    operator = "Check the installation, or the configured folder of normative schemas."
