// The code comes behind the # of the link, which no browser sends anywhere. It goes
// into the form, and out of the address and the history.
(() => {
  'use strict';
  const code = document.getElementById('code');
  if (location.hash.length > 1) {
    code.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, '', location.pathname);
  }
  code.closest('[data-code]').hidden = code.value !== '';
})();
