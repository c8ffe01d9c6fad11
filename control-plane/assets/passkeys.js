// Passkeys are the browser's, and it lends them to scripts only. This one asks the server what to ask, hands the answer
// to the form, and sends that like any other. Nothing else in the console needs a script.
const asking = {
  create: (options) =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: (options) =>
    navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};

async function begun(form) {
  const response = await fetch(form.dataset.begin, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams(new FormData(form)),
  });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.detail ? `${answer.title}; allowed: ${answer.detail}` : answer.title);
  }
  return answer.publicKey;
}

function said(error) {
  return error instanceof DOMException
    ? "No passkey was used: it was cancelled, took too long, or none fits here."
    : error.message;
}

async function answered(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const told = form.querySelector("[role=alert]");
  told.textContent = "";
  try {
    const credential = await asking[form.dataset.asks](await begun(form));
    form.elements.credential.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (error) {
    told.textContent = said(error);
  }
}

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const form of document.querySelectorAll("form[data-asks]")) {
    form.addEventListener("submit", answered);
    form.hidden = false;
    form.nextElementSibling?.remove();
  }
}
