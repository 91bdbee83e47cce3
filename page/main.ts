const page = document.querySelector('#page')
if (page !== null) page.textContent = 'latchkey'
