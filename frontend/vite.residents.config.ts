import {lightPage} from './light_page';

// The residents' page.
export default lightPage('residents', 'home');
