/** Limits of the POP3 side that come from the RFCs or from long practice; what an operator may change is in the configuration. */

/**
 * Longest line a client may send, line end excluded. RFC 2449 section 4 asks for 255 octets; a SASL response may be
 * 12,288 octets of base64 (RFC 4954 section 4, which RFC 5034 follows in practice). A longer line ends the session.
 */
export const MAX_LINE_OCTETS = 12_288;

/** Longest user name or password taken over from a client, in octets. */
export const MAX_CREDENTIAL_OCTETS = 1_024;

/** Longest status line including CRLF (RFC 1939 section 3). */
export const MAX_STATUS_OCTETS = 512;

/** So many bad commands in a row end the session (Dovecot's figure; tolerant of clients that probe). */
export const MAX_BAD_COMMANDS = 20;

/** So many refused logins end the session. */
export const MAX_LOGIN_FAILURES = 3;

/** Pieces of a long listing are rendered in chunks of about this many characters. */
export const LISTING_CHUNK_CHARACTERS = 65_536;
