// Keeps the words that were typed for whom they were typed, and shows those of the instance chosen
// now; see search_session.py. Here and not on the server, so that what is typed next is its own.
(labels, session, whose, edit, strength, prompt) => {
  const typed = { edit, prompt, strength }, before = session.whose, shot = session.current;
  const all = before < 0 ? typed : session.all, own = { ...session.own };
  if (before >= 0) {
    const words = { ...typed, strength: strength === all.strength ? null : strength };
    own[shot] = { ...own[shot], [before]: words };
  }
  const words = whose < 0 ? all : { edit: "", prompt: "", ...own[shot]?.[whose] };
  return [
    { ...session, all, own, whose },
    { __type__: "update", value: words.edit, label: labels[whose < 0 ? 0 : 1] },
    words.strength || all.strength,
    words.prompt,
  ];
}
