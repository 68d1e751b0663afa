// What each choice of the visitor changes of the session; see search_session.py. Here and not on
// the server: an answer to an earlier event then has no older session to put back, and what is
// typed next belongs to what was chosen. One that returns nothing changes nothing.
(labels) => {
  // Keeps the words that were typed for whom they were typed, and shows those of all, or of one.
  function choose(session, next, edit, strength, prompt) {
    const typed = { edit, prompt, strength }, before = session.whose, shot = session.current;
    const all = before < 0 ? typed : session.all, own = { ...session.own };
    if (before >= 0) {
      const words = { ...typed, strength: strength === all.strength ? null : strength };
      own[shot] = { ...own[shot], [before]: words };
    }
    const words = next.whose < 0 ? all : { edit: "", prompt: "", ...own[shot]?.[next.whose] };
    return [
      { ...session, all, own, ...next },
      { __type__: "update", value: words.edit, label: labels[next.whose < 0 ? 0 : 1] },
      words.strength || all.strength,
      words.prompt,
    ];
  }
  return {
    threshold: (session, value) => ({ ...session, threshold: Math.round(value * 100) / 100 }),

    ticks(session, ticked, { id, numbers }) {  // of the photo that is shown, not of the next one
      if (!id.startsWith(`${session.found}/`)) return;
      const shot = id.slice(session.found.length + 1);
      return { ...session, off: { ...session.off, [shot]: numbers.filter((k) => !ticked.includes(k)) } };
    },

    instance: (session, whose, ...typed) => choose(session, { whose }, ...typed),

    photo(session, { picked }, ...typed) {
      const [changed, ...words] = choose(session, { current: picked, whose: -1 }, ...typed);
      return [changed, changed.whose, ...words];
    },

    // Where no photo was chosen yet: the one that the strip marks.
    first(session, { of, current }) {
      if (of === session.found && current && !session.current) return { ...session, current };
    },
  };
}
