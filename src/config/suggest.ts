/** The nearest known word to a mistyped one. Pure. */
import { distance } from 'fastest-levenshtein';

/** Two letters swapped count as two edits, the commonest slip in a short word. */
const EDITS_ALWAYS_FORGIVEN = 2;
const LETTERS_PER_EDIT = 3;

/** The known word that was probably meant; undefined when none is near. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const forgiven = Math.max(EDITS_ALWAYS_FORGIVEN, Math.floor(word.length / LETTERS_PER_EDIT));
  let nearest: { readonly word: string; readonly edits: number } | undefined;
  for (const candidate of known) {
    const edits = distance(word.toLowerCase(), candidate);
    if (edits > forgiven || edits >= candidate.length) continue;
    if (nearest === undefined || edits < nearest.edits) nearest = { word: candidate, edits };
  }
  return nearest?.word;
}
