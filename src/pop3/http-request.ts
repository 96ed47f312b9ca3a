/**
 * Tells HTTP from POP3. A web page can make a browser send a request here, and whoever sits on its way can lead a request for a web
 * server here, with TLS (ALPACA). Lines of such a request must not be taken for commands, nor answers for those of the web server.
 */

/** A method, a target and a version (RFC 9112 section 3). The preface of HTTP/2 looks like one on purpose (RFC 9113 section 3.4). */
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]+\S.*[ \t]HTTP\/\d+(?:\.\d+)?[ \t]*$/;

/** True for a line, without its end, that is the first one of an HTTP request. */
export function isHttpRequest(line: Uint8Array): boolean {
  return REQUEST_LINE.test(Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1'));
}
