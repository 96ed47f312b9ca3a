/** What those who take part in a test said last: a wait that did not end is reported with both sides of it. */

const MOST_SPEAKERS = 12;
const MOST_CHARACTERS = 4_000;

const speakers = new Map<object, () => string>();

/** Has somebody heard in reports until `isSilent`. `said` gives what was said last, with a name before it, or an empty text. */
export function listenTo(speaker: object, said: () => string): void {
  speakers.set(speaker, said);
}

/** Its part is over. */
export function isSilent(speaker: object): void {
  speakers.delete(speaker);
}

/** Of all who still take part, a paragraph each; those who came last if there are many. */
export function lastWords(): string {
  const said = [...speakers.values()].map((words) => words()).filter((words) => words !== '');
  return said.slice(-MOST_SPEAKERS).map(shortened).join('\n');
}

/** The end of a text that may be long. */
export function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `…${text.slice(-MOST_CHARACTERS)}`;
}
