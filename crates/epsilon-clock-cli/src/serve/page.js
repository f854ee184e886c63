// Moves what the server has drawn: the page is whole without it.
"use strict";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const word = document.getElementById("link");
let waiting = 0;

// Puts the server's newest parts in the place of those that are shown.
function replace(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    // An unchanged part is left alone, so that what is selected in it stays so.
    if (fresh && fresh.innerHTML !== part.innerHTML) {
      part.innerHTML = fresh.innerHTML;
      part.className = fresh.className;
    }
  }
}

function tell(text) {
  if (word.textContent !== text) {
    word.textContent = text;
  }
}

async function look() {
  clearTimeout(waiting);
  if (!document.hidden) {
    try {
      const answer = await fetch("/", { signal: AbortSignal.timeout(5000) });
      replace(await answer.text());
      tell("");
    } catch {
      tell("No answer from epsilon serve; what is shown is old.");
    }
  }
  waiting = setTimeout(look, still.matches ? 10000 : 1000);
}

document.addEventListener("visibilitychange", look);
look();
