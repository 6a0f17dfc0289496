import {lightPage} from './light_page';

// The report form.
export default lightPage('report', 'report');
