/** Which unique-ids a maildrop ever gave away, as far as they bear on new ones: none of them is given to another message. */
import { isUidValidity } from '../maildrop/numbers.ts';
import type { UsedFormula } from '../maildrop/reconcile.ts';
import { applyTemplate, tellsFolders, type UniqueIdFormula, type UniqueIdTemplate } from '../maildrop/unique-id.ts';
import type { UsedIds } from '../store/store.ts';
import { namesOf } from './derivation.ts';

/** The mailbox whose messages get new ids. */
export interface IdsFor {
  readonly path: string;
  /** Under which they get them. */
  readonly formula: UniqueIdFormula;
  /** Its map is lost: all that can be done is to give the same ids for the same UIDs. */
  readonly isMadeAnew: boolean;
}

export function usedFormulas(
  { epochs, formulas }: UsedIds,
  template: UniqueIdTemplate,
  { path, formula, isMadeAnew }: IdsFor,
): UsedFormula[] {
  // What was given before a template was changed stands in `formulas`, or in a map still.
  const underTemplate = epochs.flatMap(({ uidValidity, ...epoch }) =>
    isUidValidity(uidValidity) ? [{ ...epoch, formula: applyTemplate(template, namesOf(epoch.path, uidValidity)) }] : [],
  );
  const isOwn = (used: { readonly path: string; readonly formula: UniqueIdFormula }): boolean =>
    used.formula === formula && (used.path === path || tellsFolders(template));
  return [...underTemplate, ...formulas].filter((used) => !isMadeAnew || !isOwn(used));
}
